"""States as short signed tokens: a text goes on anywhere, exactly, without the server remembering it.

A token is base64url of: format, model version, model name, tokens read, tokens unread, the packed state, and a
signature (HMAC-SHA-256, cut to 16 bytes) of all that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass

from refrain.app.services.errors import StaleStateError
from refrain.inference.engine.request import TextState
from refrain.inference.operations.text_model import TextModel
from refrain.models.errors import InvalidParameterError

FORMAT = 1
SIGNATURE_BYTES = 16
_HEAD = struct.Struct("<B16sqBB")
"""Format, model version, tokens read, length of the name, number of unread tokens."""


@dataclass(frozen=True)
class SignedState:
    """A state that this service, or a replica of it, has signed, for one version of a model."""

    model_name: str
    version: bytes
    state: TextState

    def open(self, model: TextModel) -> TextState:
        """Return the state, for the model that it belongs to.

        Raises
        ------
        StaleStateError
            If it came from another model, version or precision, or does not fit a slot.
        """
        is_whole = len(self.state.packed) == model.shape.state_bytes
        if self.version != model.version or not is_whole:
            raise StaleStateError(
                f"the state belongs to another version or precision of {self.model_name}; "
                "send the text instead",
                "state",
            )
        return self.state


class StateTokens:
    """Signs states, and reads those that were signed with the same secret.

    Parameters
    ----------
    secret
        What replicas share that accept each other's tokens.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def encode(self, model: TextModel, state: TextState) -> str:
        """Encode a state as a signed token."""
        name = model.name.encode()
        head = _HEAD.pack(FORMAT, model.version, state.position, len(name), len(state.unread))
        unread = struct.pack(f"<{len(state.unread)}i", *state.unread)
        body = head + name + unread + state.packed
        return base64.urlsafe_b64encode(body + self._sign(body)).rstrip(b"=").decode()

    def decode(self, token: str) -> SignedState:
        """Read a token.

        Raises
        ------
        InvalidParameterError
            If this service did not sign it.
        StaleStateError
            If it has the format of another version of the service.
        """
        signed = _decode(token)
        body, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(self._sign(body), signature):
            raise InvalidParameterError(
                "the state was cut, changed, or signed by another server; replicas must share REFRAIN_STATE_SECRET",
                "state",
            )
        if body[0] != FORMAT:
            raise StaleStateError(
                "the state was written by another version of this service; send the text instead",
                "state",
            )
        _, version, position, num_name, num_unread = _HEAD.unpack_from(body)
        name_end = _HEAD.size + num_name
        unread_end = name_end + 4 * num_unread
        unread = struct.unpack(f"<{num_unread}i", body[name_end:unread_end])
        name = body[_HEAD.size : name_end].decode()
        return SignedState(name, version, TextState(body[unread_end:], position, unread))

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, hashlib.sha256)[:SIGNATURE_BYTES]


def _decode(token: str) -> bytes:
    try:
        return base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
    except ValueError as error:
        raise InvalidParameterError("the state is not a token of this service", "state") from error
