"""A checkpoint from its folder to the hub, if its licence lets it go."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard, constants

from refrain.models.card import Card
from refrain.models.checkpoint import README, load_checkpoint
from refrain.models.errors import CheckpointError
from refrain.training.data.datasets.registry import DATASETS
from refrain.training.errors import HubError, LicenceError
from refrain.training.output import RECIPE
from refrain.training.publishing.hub.repository import FILES, named_errors
from refrain.training.publishing.licence import first_kept_back


@dataclass(frozen=True)
class Upload:
    """What is about to be sent.

    Attributes
    ----------
    files
        Paths of the files, by name.
    left_out
        Names of what else is in the folder.
    """

    directory: Path
    card: Card
    files: tuple[Path, ...]
    left_out: tuple[str, ...]

    def lines(self) -> list[str]:
        """Describe what will be sent and under which licence, for a person."""
        lines = [f"{path.stat().st_size:12,} bytes  {path.name}" for path in self.files]
        if self.left_out:
            lines.append(f"left out: {', '.join(self.left_out)}")
        return [*lines, f"licence: {self.card.license or 'not stated'}"]


def prepare_upload(directory: Path) -> Upload:
    """Check that a folder is a whole checkpoint with a card of the hub, which may be given away.

    Raises
    ------
    CheckpointError
        If it could not be served.
    LicenceError
        If anything that the folder says of its licence or data forbids giving it away.
    HubError
        If its card is not one that the hub understands.
    """
    card = load_checkpoint(directory).card
    front = _metadata(directory)
    forbidding = first_kept_back(_licence_texts(directory, card, front))
    if forbidding is not None:
        raise LicenceError(
            f"{directory} was trained on {card.dataset} and may not be given away, not to a private repository "
            f"either; its licence: {forbidding}"
        )
    if not re.fullmatch(r"[a-z0-9.-]+", str(front.get("license", ""))):
        raise HubError(
            f"{directory / README} names no licence of the hub's; write it anew with: refrain card {directory}"
        )
    names = sorted(path.name for path in directory.iterdir())
    files = tuple(directory / name for name in names if name in FILES)
    return Upload(directory, card, files, tuple(name for name in names if name not in FILES))


def _metadata(directory: Path) -> dict[str, Any]:
    """Read the front matter of a card."""
    try:
        text = (directory / README).read_text(encoding="utf-8")
        return dict(vars(ModelCard(text).data))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise HubError(
            f"{directory / README} is no card of the hub ({error}); write it anew with: refrain card {directory}"
        ) from error


def _licence_texts(directory: Path, card: Card, front: dict[str, Any]) -> Iterator[str]:
    """Yield all that a checkpoint says of its licence, and the registry of its corpora: any of them may be edited."""
    yield card.license
    yield from (str(front.get(key, "")) for key in ("license", "license_name"))
    listed = front.get("datasets") or []
    named = [listed] if isinstance(listed, str) else [str(name) for name in listed]
    for name in (card.dataset, _dataset_of_recipe(directory), *named):
        if name in DATASETS:
            yield DATASETS[name].license


def _dataset_of_recipe(directory: Path) -> str:
    path = directory / RECIPE
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["data"]["dataset"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: is no recipe ({error}); is it truncated?") from error


def push(
    upload: Upload,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str = "",
    log: Callable[[str], None] = print,
) -> str:
    """Send a checkpoint in one commit, to a repository that is made if there is none; return the commit's address.

    Parameters
    ----------
    private
        Whether only its owner may see the repository; a public one that is there already is then refused.
    revision
        A branch, made if there is none; None for the main branch.

    Raises
    ------
    HubError
        If the hub does not take it.
    """
    with named_errors(repo_id, revision):
        api = HfApi(library_name="refrain")
        repo_id = api.create_repo(repo_id, private=private or None, exist_ok=True).repo_id
        if private and api.model_info(repo_id).private is not True:
            raise HubError(
                f"{repo_id} is public already; nothing was sent. Make it private there, or leave --private out"
            )
        if revision and revision != constants.DEFAULT_REVISION:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        log(f"sending to {constants.ENDPOINT}/{repo_id}, {revision or constants.DEFAULT_REVISION}")
        sent = {path.name for path in upload.files}
        stale = ({*FILES} - sent) & {*api.list_repo_files(repo_id, revision=revision)}
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(path.name, path) for path in upload.files),
                *(CommitOperationDelete(name) for name in sorted(stale)),
            ],
            commit_message=message or f"Upload {upload.directory.resolve().name}",
            revision=revision,
        )
    return str(commit.commit_url)
