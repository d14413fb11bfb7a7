"""`/` and `/web/...`: the page for people, plain files beside the service."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parents[2] / "web"
HEADERS = {
    # The page asks nothing of anybody else and sends no forms, and nobody may put it into a frame or give it scripts.
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Kept, but asked for again by ETag: a new version of the service never meets an old script.
    "cache-control": "no-cache",
}


class PageFiles(StaticFiles):
    """Files of the page, each with the page's headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, or with 304 where the caller has it already."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_page(app: FastAPI) -> None:
    """Serve the page at `/` and its parts under `/web`."""
    files = PageFiles(directory=FOLDER)

    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.add_route("/", page, include_in_schema=False)
    app.mount("/web", files, name="web")
