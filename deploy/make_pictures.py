"""Takes the pictures of the page that the READMEs show, of a running service.

    refrain serve & python deploy/make_pictures.py http://127.0.0.1:8000

They are written to docs/figures. Chromium and Playwright must be there; nothing else should run, for some pictures show
milliseconds. Look at them before they are committed.
"""

from __future__ import annotations

import io
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
WIDTH = 1160
HEIGHTS = {
    "write": 900,
    "next": 900,
    "surprise": 800,
    "sentiment": 900,
    "models": 1000,
    "load": 800,
}
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
COLOURS = 64
"""Of a picture: the page has few."""
WRITERS = 24
"""Texts that are written while the load is looked at."""


def fill(page: Page, tab: str, *, language: str) -> None:
    """Bring a tab to where it has something to show."""
    panel = page.locator(f"#panel-{tab}")
    if tab == "write":
        panel.locator("input[type=number]").last.fill("5")
        panel.locator(".example").first.click()
        expect(panel.locator(".token.end")).to_be_attached()
        panel.locator(".token").nth(3).focus()
    elif tab == "next":
        panel.locator("textarea").fill("")
        typed = {"en": "The capital of the United ", "zh": "举头望明"}[language]
        panel.locator("textarea").press_sequentially(typed, delay=60)
        expect(panel.locator(".bars .word").first).not_to_be_empty()
    elif tab == "surprise":
        panel.locator(".example").nth(2 if language == "zh" else 1).click()
        panel.locator(".token").nth(3).focus()
    elif tab == "sentiment":
        panel.locator(".example").nth(1 if language == "zh" else 0).click()
        expect(panel.locator(".stars")).to_be_visible()
    elif tab == "models":
        expect(panel.locator(".ladder .plot").first).to_be_visible()
    else:
        expect(panel.locator(".card").first).to_be_visible()


@contextmanager
def writing(address: str) -> Iterator[None]:
    """Have texts written meanwhile."""
    body = {"model": "tang", "prompt": ["春"] * WRITERS, "max_tokens": 4_000, "ignore_eos": True}

    def write() -> None:
        while not is_over.is_set():
            httpx.post(f"{address}/generate", json=body, timeout=60).raise_for_status()

    is_over = threading.Event()
    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def take(browser: Browser, address: str, tab: str, language: str, name: str) -> None:
    """Take one picture."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHTS[tab]},
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{address}/#{tab}")
    expect(page.locator("html")).to_have_attribute("lang", language)
    fill(page, tab, language=language)
    page.wait_for_timeout(8_000 if tab == "load" else 1_000)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS).save(FIGURES / name, optimize=True)
    context.close()
    print(f"docs/figures/{name}")


def main() -> None:
    """Take them all."""
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        for tab in HEIGHTS:
            if tab != "load":
                take(browser, address, tab, "en", f"page-{tab}.png")
        for tab in ("write", "next"):
            take(browser, address, tab, "zh", f"page-{tab}-zh.png")
        with writing(address):
            take(browser, address, "load", "en", "page-load.png")
        browser.close()


if __name__ == "__main__":
    main()
