"""What a checkpoint's repository holds, and what can go wrong on the way to one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import constants
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    HfHubHTTPError,
    HFValidationError,
    HTTPError,  # of whichever HTTP library it uses
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from refrain.models.checkpoint import CONFIG, README, RUN_LOG, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS
from refrain.training.errors import HubError
from refrain.training.output import RECIPE

FILES = (README, CONFIG, WEIGHTS, RECIPE, RUN_LOG, TOKENIZER, TOKENIZER_CONFIG)
"""The only files that are ever fetched or sent: text and safetensors, nothing that could run."""


@contextmanager
def named_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn what `huggingface_hub` raises to an error that says what to do.

    Raises
    ------
    HubError
        For a repository or revision that is not there, a refusal, a hub that does not answer.
    """
    hub = constants.ENDPOINT
    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{repo_id!r} names no repository, write OWNER/NAME: {error}") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{hub} shows no repository {repo_id}; if it is private, set HF_TOKEN to a token that may see it"
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(f"{repo_id} has no branch, tag or commit {revision or 'main'}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise HubError(_unreachable(repo_id, hub)) from error
    except HfHubHTTPError as error:
        status, said = error.response.status_code, error.server_message or str(error)
        hint = "; set HF_TOKEN to a token that may do this" if status in (401, 403) else ""
        raise HubError(f"{hub} answered {status} for {repo_id}: {said}{hint}") from error
    except HTTPError as error:
        raise HubError(f"{hub} does not answer: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise HubError(f"{repo_id}: {error}{cause}") from error


def _unreachable(repo_id: str, hub: str) -> str:
    if constants.HF_HUB_OFFLINE:
        return (
            f"{repo_id} is not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE forbids to fetch it; "
            "unset it, or set HF_HOME to where the cache is"
        )
    return f"{hub} gives no whole copy of {repo_id}, and the cache has none; try again, or set HF_ENDPOINT"
