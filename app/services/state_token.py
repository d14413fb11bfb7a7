"""States as short signed tokens: a text goes on anywhere, exactly, without the server remembering it.

A token is base64url of: format, model version, model name, tokens read, tokens unread, the packed state, and a
signature (HMAC-SHA-256, cut to 16 bytes) of all that.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass

from app.engine.sequence import TextState
from app.services.errors import InvalidParameterError, StaleStateError
from app.services.registry import LoadedLanguageModel, Registry

FORMAT = 1
SIGNATURE_BYTES = 16
_HEAD = struct.Struct("<B16sqBB")
"""Format, model version, tokens read, length of the name, number of unread tokens."""


@dataclass(frozen=True)
class _Opened:
    model_name: str
    version: bytes
    state: TextState


class StateTokens:
    """Seals states, and opens those that were sealed with the same secret.

    Parameters
    ----------
    secret
        What replicas share whose tokens are to fit one another.
    """

    def __init__(self, registry: Registry, secret: bytes) -> None:
        self._registry = registry
        self._secret = secret

    def seal(self, loaded: LoadedLanguageModel, state: TextState) -> str:
        """Give a state to carry away."""
        name = loaded.checkpoint.name.encode()
        head = _HEAD.pack(FORMAT, loaded.version, state.position, len(name), len(state.unread))
        unread = struct.pack(f"<{len(state.unread)}i", *state.unread)
        body = head + name + unread + state.packed
        return base64.urlsafe_b64encode(body + self._sign(body)).rstrip(b"=").decode()

    def resolve(
        self, model: str | None, text: str, token: str | None
    ) -> tuple[LoadedLanguageModel, TextState | None]:
        """Find the model that a request names, its state came from, or its text asks for; and open the state.

        Raises
        ------
        InvalidParameterError
            If the token is none of this service.
        StaleStateError
            If it came from another model, version or precision.
        UnknownModelError, WrongTaskError
            If the model cannot serve this.
        """
        if token is None:
            return self._registry.language_model(model, text), None
        opened = self._open(token)
        loaded = self._registry.language_model(model or opened.model_name, text)
        if loaded.version != opened.version:
            raise StaleStateError(
                f"the state is of another version of {opened.model_name}, or of another precision; "
                "send the text instead",
                "state",
            )
        return loaded, opened.state

    def _open(self, token: str) -> _Opened:
        sealed = _decode(token)
        body, signature = sealed[:-SIGNATURE_BYTES], sealed[-SIGNATURE_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(self._sign(body), signature):
            raise InvalidParameterError(
                "the state was cut, changed, or sealed by another server; replicas share states if they "
                "share REFRAIN_STATE_SECRET",
                "state",
            )
        _, version, position, num_name, num_unread = _HEAD.unpack_from(body)
        name_end = _HEAD.size + num_name
        unread_end = name_end + 4 * num_unread
        unread = struct.unpack(f"<{num_unread}i", body[name_end:unread_end])
        name = body[_HEAD.size : name_end].decode()
        return _Opened(name, version, TextState(body[unread_end:], position, unread))

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)[:SIGNATURE_BYTES]


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidParameterError("the state is no state token", "state") from error
