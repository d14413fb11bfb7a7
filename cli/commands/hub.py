"""`refrain models pull` and `refrain models push`: checkpoints from and to the Hugging Face hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from refrain.cli.options.answers import add_folder_option

ENVIRONMENT = """
HF_ENDPOINT names another hub, HF_TOKEN a token, HF_HOME the folder of the cache; with HF_HUB_OFFLINE=1 only
the cache is used."""

PULL_EXAMPLES = f"""examples:
  refrain models pull OWNER/tang
  refrain models pull OWNER/tang --revision v2 --name tang-2 --models my-models
{ENVIRONMENT}
"""
PUSH_EXAMPLES = f"""examples:
  refrain models push checkpoints/my-book OWNER/my-book --dry-run
  refrain models push checkpoints/my-book OWNER/my-book --private --message "Trained anew"
{ENVIRONMENT}
"""


def add_parsers(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe both commands, below `refrain models`."""
    _add_pull(actions)
    _add_push(actions)


def _add_pull(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pull = actions.add_parser(
        "pull",
        help="fetch a checkpoint from the hub",
        description="Fetch a checkpoint from the Hugging Face hub through its cache and copy it to a folder of models. "
        "Only a checkpoint's own files are fetched, and it appears once it has been loaded whole.",
        epilog=PULL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pull.add_argument("repo_id", metavar="REPO_ID", help="a repository: OWNER/NAME")
    pull.add_argument("--revision", help="a branch, tag or commit (default: main)")
    add_folder_option(pull)
    pull.add_argument("--name", default="", help="what to call it here (default: the last part)")
    pull.add_argument("--overwrite", action="store_true", help="replace a checkpoint of that name")
    pull.set_defaults(run=run_pull)


def _add_push(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    push = actions.add_parser(
        "push",
        help="publish a checkpoint on the hub",
        description="Send a checkpoint to the Hugging Face hub, in one commit. A checkpoint whose licence forbids "
        "redistribution is refused.",
        epilog=PUSH_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    push.add_argument("directory", metavar="DIR", type=Path, help="a checkpoint's folder")
    push.add_argument("repo_id", metavar="REPO_ID", help="a repository: OWNER/NAME; made if new")
    push.add_argument("--private", action="store_true", help="to a repository only you can see")
    push.add_argument("--revision", "--branch", help="a branch (default: main); made if new")
    push.add_argument("--message", default="", help="the message of the commit")
    push.add_argument(
        "--dry-run", action="store_true", help="show what would be sent; send nothing"
    )
    push.set_defaults(run=run_push)


def run_pull(options: argparse.Namespace) -> int:
    """Fetch, and report how to serve it."""
    from refrain.training.reporting.optional_package import require

    require("huggingface_hub", "hub")
    from refrain.cli.options.model_folder import serving_command
    from refrain.cli.options.settings import read_settings
    from refrain.models.checkpoint import DEFAULT_FOLDER
    from refrain.training.publishing.hub.pull import pull

    folder = read_settings(options).models or DEFAULT_FOLDER
    target = pull(
        options.repo_id,
        folder,
        name=options.name,
        revision=options.revision,
        overwrite=options.overwrite,
    )
    print(f"the checkpoint is in {target}; serve it:\n    {serving_command(folder)}")
    return 0


def run_push(options: argparse.Namespace) -> int:
    """Show, and send."""
    from refrain.training.reporting.optional_package import require

    require("huggingface_hub", "hub")
    from refrain.training.publishing.hub.push import prepare_upload, push

    upload = prepare_upload(options.directory)
    print("\n".join(upload.lines()))
    if options.dry_run:
        print(f"nothing was sent to {options.repo_id}")
        return 0
    address = push(
        upload,
        options.repo_id,
        private=options.private,
        revision=options.revision,
        message=options.message,
    )
    print(f"done: {address}")
    return 0
