"""Opaque tokens that a client hands back unread: cursors. Signed, so that they cannot be made up."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson

from shared.errors import BadRequest

_SIGNATURE_BYTES = 12
_TOKEN_MAX_CHARS = 65_536  # a position may hold a long sort value


def sign(content: Any, secret: bytes) -> str:
    """JSON content as a URL-safe token."""
    body = orjson.dumps(content)
    return base64.urlsafe_b64encode(_signature(body, secret) + body).rstrip(b"=").decode()


def open_token(token: str, secret: bytes, *, what: str = "cursor") -> Any:
    """The content of a token that `sign` made with the same secret.

    Raises:
        BadRequest: it is not such a token.
    """
    try:
        if len(token) > _TOKEN_MAX_CHARS:
            raise ValueError("too long")
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(body, secret)):
            raise ValueError("wrong signature")
        return orjson.loads(body)
    except ValueError as error:
        raise BadRequest(f"the {what} is not one that this server issued; start again without it") from error


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)[:_SIGNATURE_BYTES]
