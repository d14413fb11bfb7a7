"""`refrain serve`: the HTTP service."""

from __future__ import annotations

import argparse
import logging

from app.settings import Settings

EXAMPLES = """examples:
  refrain serve
  refrain serve --models my-models --port 9000
  REFRAIN_HOST=0.0.0.0 refrain serve --max-slots 128

A flag wins over its variable, such as REFRAIN_MAX_SLOTS for --max-slots.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command; its flags are the settings of the service."""
    parser = commands.add_parser(
        "serve",
        help="serve checkpoints over HTTP",
        description="Serve every checkpoint of a folder over HTTP.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, field in Settings.model_fields.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{field.description} (default: {field.default})",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import uvicorn
    from pydantic import ValidationError

    from app.main import create_app
    from models.errors import ConfigError

    given = {name: value for name, value in vars(options).items() if name in Settings.model_fields}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        flag = "--" + str(fault["loc"][0]).replace("_", "-")
        raise ConfigError(f"{flag}: {fault['msg']}, not {fault['input']!r}") from error
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s: %(message)s")
    app = create_app(settings)
    print(f"Refrain: open http://{settings.host}:{settings.port}/docs", flush=True)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        timeout_graceful_shutdown=10,
    )
    return 0
