"""Signatures of a delivery, so that its receiver knows whom it is from.

Standard Webhooks 1.0.0 (`webhook-id`, `webhook-timestamp`, `webhook-signature`), and beside it the header of
the contract, `X-Mixpeek-Signature`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme"
_NEW_KEY_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_KEY_BYTES)).decode()


def check_secret(secret: str) -> None:
    """Any text is a secret; only one that begins with whsec_ must be what that says.

    Raises:
        ValueError: it is not 24 to 64 bytes in base 64.
    """
    if secret.startswith(PREFIX):
        _key(secret)


def signature_headers(
    event_id: str, at_s: int, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        at_s: When it is made, in seconds since the epoch.
        signing_secrets: The present one first, then those that are being rotated away; none = not signed.
    """
    headers = {"webhook-id": event_id, "webhook-timestamp": str(at_s)}
    if signing_secrets:
        headers["webhook-signature"] = " ".join(
            f"v1,{_standard(secret, event_id, at_s, body)}" for secret in signing_secrets
        )
        parts = [f"t={at_s}", *(f"v1={_contract(secret, at_s, body)}" for secret in signing_secrets)]
        headers["X-Mixpeek-Signature"] = ",".join(parts)
    return headers


def _standard(secret: str, event_id: str, at_s: int, body: bytes) -> str:
    digest = hmac.digest(_key(secret), f"{event_id}.{at_s}.".encode() + body, hashlib.sha256)
    return base64.b64encode(digest).decode()


def _contract(secret: str, at_s: int, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hex()


def _key(secret: str) -> bytes:
    """The bytes that Standard Webhooks signs with: decoded after whsec_, else the text itself.

    Raises:
        ValueError: as `check_secret`.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ValueError("begins with whsec_, so 24 to 64 bytes in base 64 must follow")
    return key
