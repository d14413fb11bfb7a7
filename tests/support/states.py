"""State tokens that are rightly signed, whatever is in them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from refrain.app.services.state_token import FORMAT, SIGNATURE_BYTES

SECRET = "a secret of sixteen"


def body_of(token: str) -> bytes:
    """Return what a token holds before its signature."""
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:-SIGNATURE_BYTES]


def signed(body: bytes, secret: str = SECRET) -> str:
    """Return the token of a body, as a server with this secret would sign it."""
    signature = hmac.digest(secret.encode(), body, hashlib.sha256)[:SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(body + signature).rstrip(b"=").decode()


STALE: dict[str, Callable[[bytes], bytes]] = {
    "of another format": lambda body: bytes([FORMAT + 1]) + body[1:],
    "of another version": lambda body: body[:1] + bytes([body[1] ^ 1]) + body[2:],
    "a byte too short": lambda body: body[:-1],
    "a byte too long": lambda body: body + b"\0",
    "without a memory": lambda body: body[:-64],
}
"""What a body of a state may be turned to, so that it is signed but fits no slot of its model."""


def stale_states(token: str) -> dict[str, str]:
    """Return states that no model can take, made of one that is whole, each signed with `SECRET`."""
    return {name: signed(turned(body_of(token))) for name, turned in STALE.items()}
