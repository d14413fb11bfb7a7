"""One service over the shipped checkpoints, one browser, and a page that is observed for faults."""

import os
import queue
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from refrain.app.main import create_app
from refrain.app.settings import Settings

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
]
PATIENCE_MS = (
    120_000  # for a machine that has other things to do; a fault is seen at once on a quiet one
)
LOAD = {
    "status": "ready",
    "uptime_seconds": 4000.3,
    "models": [
        {
            "model": "tang",
            "num_running": 41,
            "num_waiting": 12,
            "max_slots": 64,
            "max_queue": 256,
            "prompt_tokens_total": 1000,
            "generation_tokens_total": 2000,
            "tokens_per_second": 31200.0,
        }
    ],
}


class Held:
    """An application in front of the service, which can hold answers back half-way until their caller leaves.

    It also notes which sessions were ended.
    """

    def __init__(self, app) -> None:
        self._app = app
        self.is_on = False
        self.left = threading.Event()
        self.ended: queue.Queue[str] = queue.Queue()

    async def __call__(self, scope, receive, send) -> None:
        if scope.get("method") == "DELETE":
            self.ended.put(scope["path"].rpartition("/")[2])
        if not self.is_on or scope.get("path") != "/generate":
            await self._app(scope, receive, send)
            return

        async def send_some(message) -> None:
            await send(message)
            if message.get("body"):
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                raise OSError("the caller has left")

        await self._app(scope, receive, send_some)


class Server(uvicorn.Server):
    """A server that reports when it is up."""

    def __init__(self, app) -> None:
        super().__init__(uvicorn.Config(app, log_level="warning", ws="none"))
        self.is_up = threading.Event()

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@dataclass(frozen=True)
class Service:
    """A running service."""

    address: str
    held: Held


@pytest.fixture(scope="package")
def service() -> Iterator[Service]:
    """The whole service on a free port."""
    held = Held(create_app(Settings(models=ROOT / "checkpoints", num_threads=1)))
    server = Server(held)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    assert server.is_up.wait(PATIENCE_MS / 1000)
    yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", held)
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser of this machine."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        reason = f"no browser here: none of {', '.join(BROWSERS)}"
        if os.environ.get("REFRAIN_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


@dataclass
class Observed:
    """A page, and what went wrong on it."""

    page: Page
    context: BrowserContext
    address: str
    faults: list[str] = field(default_factory=list)

    def open(self, tab: str = "") -> Page:
        self.page.goto(f"{self.address}/#{tab}")
        return self.page


@pytest.fixture
def observed(browser, service) -> Iterator[Observed]:
    """A page whose every error, failed request and request to anybody else fails the test."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-US", base_url=service.address
    )
    context.set_default_timeout(PATIENCE_MS)
    context.route("**/load", lambda route: route.fulfill(json=LOAD))
    page = context.new_page()
    observed = Observed(page, context, service.address)
    faults = observed.faults
    page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    # A page that is loaded anew gives up its icon, if that was still on its way.
    page.on(
        "requestfailed",
        lambda r: r.url.endswith("/seal.svg") or faults.append(f"{r.url} {r.failure}"),
    )
    page.on("request", lambda r: r.url.startswith(service.address) or faults.append(r.url))
    yield observed
    context.close()
    assert not faults
