"""`POST /score/stream`: text of any length in, a line of JSON for every stride or every line out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, KeysView
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from refrain.app.api.http.errors import body_of, failure_of
from refrain.app.api.http.router import REFUSALS, asked_by
from refrain.app.api.http.text_body import TextBody
from refrain.app.services.score_stream import (
    LineScore,
    Progress,
    ScoreStream,
    ScoreStreamParams,
    Unit,
    open_stream,
)
from refrain.app.services.serving import Asked, Serving
from refrain.models.errors import InvalidParameterError, RefrainError

PATH = "/score/stream"
PARAMETERS = frozenset({"model", "unit", "stride", "count_end", "return_state"})
UnitQuery = Annotated[
    Unit, Query(description="`text`: the body is one text; `line`: each line is one.")
]
StrideQuery = Annotated[
    int, Query(ge=1, le=65_536, description="Of one text: tokens between two answers.")
]
EndQuery = Annotated[bool, Query(description="Count the end as one more token.")]
StateQuery = Annotated[bool, Query(description="Of one text: end with a state.")]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "The ship was built in 1910.\nIt sank in the war.\n",
            }
        },
    }
}


def make_router(serving: Serving) -> APIRouter:
    """Route to the models."""
    router = APIRouter(tags=["text"], responses=REFUSALS)

    @router.put(PATH, include_in_schema=False)  # what `curl -T` sends
    @router.post(
        PATH,
        summary="Measure a text of any length, or any number of lines",
        response_class=Response,
        openapi_extra=_BODY,
        responses={200: {"content": {"application/x-ndjson": {}}}},
    )
    async def score_stream(
        request: Request,
        model: str | None = None,
        unit: UnitQuery = "text",
        stride: StrideQuery = 4_096,
        count_end: EndQuery = False,
        return_state: StateQuery = False,
    ) -> Response:
        """Measure plain text (UTF-8) as it arrives, in constant memory; no limit of length holds here.

        The answer is a line of JSON for every `stride` tokens of one text, each about all so far and the last with
        `"final": true`; or one for every line of the body, in order. Read it while you send, as `curl -T` does.
        A fault after the start is a last line `{"error": ...}`.
        """
        _require_known(request.query_params.keys())
        params = ScoreStreamParams(unit, stride, count_end, return_state)
        return await respond(serving, request, asked_by(request, model), params)

    return router


def _require_known(names: KeysView[str]) -> None:
    """Refuse a parameter that the route does not have.

    Raises
    ------
    InvalidParameterError
        If there is one.
    """
    for name in names - PARAMETERS:
        known = ", ".join(sorted(PARAMETERS))
        raise InvalidParameterError(f"unknown parameter {name[:50]}; there are {known}", name[:50])


async def respond(
    serving: Serving,
    request: Request,
    asked: Asked,
    params: ScoreStreamParams,
    text: str | None = None,
) -> Response:
    """Answer with lines about the request's body, or about a text that was in it."""
    body = TextBody(request, text)
    stream = await open_stream(serving, asked, body.chunks(), params)
    return _LineResponse(stream, body, serving)


class _LineResponse(Response):
    """Writes lines while the body is still being read."""

    def __init__(self, stream: ScoreStream, body: TextBody, serving: Serving) -> None:
        super().__init__(media_type="application/x-ndjson")
        del self.headers["content-length"]
        self._stream = stream
        self._body = body
        self._serving = serving

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        """Send lines to the end, or as long as anybody reads."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        work = asyncio.create_task(self._send_lines(scope, send))
        leaving = asyncio.create_task(self._body.cancel_when_gone(work))
        try:
            await asyncio.wait([work])
        finally:
            work.cancel()
            leaving.cancel()
            await asyncio.wait([work, leaving])
        if not work.cancelled() and not isinstance(work.exception(), ClientDisconnect):
            work.result()

    async def _send_lines(self, scope: Scope, send: Send) -> None:
        async with aclosing(self._lines(scope)) as lines:
            async for line in lines:
                packed = json.dumps(line, ensure_ascii=False).encode() + b"\n"
                await send({"type": "http.response.body", "body": packed, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lines(self, scope: Scope) -> AsyncGenerator[dict[str, object], None]:
        """Yield each result as an object; what goes wrong after the start is the last one."""
        loaded = self._stream.loaded
        try:
            async with aclosing(self._stream.results()) as results:
                async for result in results:
                    if isinstance(result, Progress):
                        score, is_final = result
                        values = {"model": loaded.name, **score.as_json(), "final": is_final}
                        yield self._serving.with_state(values, loaded, score.state)
                    else:
                        yield _line(result)
        except RefrainError as error:
            yield failure_of(error, scope)


def _line(result: LineScore) -> dict[str, object]:
    if isinstance(result.score, RefrainError):
        return {"line": result.line, **body_of(result.score)}
    return {"line": result.line, **result.score.as_json()}
