"""`refrain serve`: the HTTP service."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from refrain.app.log_format import LogFormat, configure_logging
from refrain.app.settings import Settings
from refrain.cli.options.settings import read_settings

GRACE_SECONDS = 10
"""How long requests may take to end after a SIGTERM."""
STOP_SECONDS = 8
"""When engines end what is still open with an error of the usual shape, before connections are cut."""

EXAMPLES = """examples:
  refrain serve
  refrain serve --models my-models --port 9000
  REFRAIN_HOST=0.0.0.0 refrain serve --max-slots 128

A flag wins over its variable, such as REFRAIN_MAX_SLOTS for --max-slots.
"""


class DrainingServer(uvicorn.Server):
    """Lets open requests end when it is asked to stop; those that take too long get a 503, or an error event."""

    def __init__(self, config: uvicorn.Config, stop_engines: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._stop_engines = stop_engines

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        timer = asyncio.create_task(self._stop_in_time())
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    async def _stop_in_time(self) -> None:
        await asyncio.sleep(STOP_SECONDS)
        await self._stop_engines()


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
            help=f"{field.description}"
            + (f" (default: {field.default})" if field.default is not None else ""),
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from refrain.app.main import create_app

    settings = read_settings(options)
    configure_logging(settings.log_format, settings.log_level)
    listener = _listen(settings.host, settings.port)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level=settings.log_level,
        log_config=None,
        access_log=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    _report_address(f"http://{host}:{port}", settings.log_format)
    DrainingServer(config, app.state.registry.stop).run(sockets=[listener])
    return 0


def _report_address(url: str, log_format: LogFormat) -> None:
    if log_format == "json":
        logging.getLogger("refrain").info("listening", extra={"fields": {"url": url}})
    else:
        print(f"Refrain: open {url}", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before models are loaded.

    Raises
    ------
    ConfigError
        If it is not free.
    """
    from refrain.models.errors import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}); free the port, or choose another --port (REFRAIN_PORT)"
        ) from error
