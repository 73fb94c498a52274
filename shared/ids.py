"""Identifiers: a prefix that says what it is, and 80 random bits in lower-case base 32."""

from __future__ import annotations

import hashlib
import secrets

import orjson

COLLECTION_PREFIX = "col_"
ALERT_PREFIX = "alt_"

# Crockford's base 32 without i, l, o, u: no look-alikes, safe in URLs, Lua patterns and file names.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ADHOC = "adhoc_"


def _token(length: int) -> str:
    return _encoded(int.from_bytes(secrets.token_bytes(length * 5 // 8 + 1)), length)


def _encoded(bits: int, length: int) -> str:
    return "".join(_ALPHABET[(bits >> (5 * i)) & 31] for i in range(length))


def execution_id() -> str:
    return "exec_" + _token(16)


def execution_id_of(*parts: str | int) -> str:
    """One that follows from what it is about: the same parts make the same id."""
    digest = hashlib.sha256(orjson.dumps(parts)).digest()
    return "exec_" + _encoded(int.from_bytes(digest), 16)


def batch_id() -> str:
    return "batch_" + _token(16)


def retriever_id() -> str:
    return "ret_" + _token(16)


def adhoc_retriever_id(namespace_id: str) -> str:
    """What stands in the place of a retriever for the ad-hoc executions of a namespace."""
    return _ADHOC + namespace_id


def is_adhoc(retriever_id: str) -> bool:
    return retriever_id.startswith(_ADHOC)


def collection_id() -> str:
    """`col_` and exactly 10 characters: that API's clients know collection ids by this shape."""
    return COLLECTION_PREFIX + _token(10)


def document_id() -> str:
    return "doc_" + _token(16)


def namespace_id() -> str:
    return "ns_" + _token(10)


def api_key() -> str:
    """A secret: `sk_` and 160 bits."""
    return "sk_" + _token(32)


def alert_id() -> str:
    return ALERT_PREFIX + _token(16)


def webhook_id() -> str:
    """`wh_` and 16 hexadecimal digits: that API's clients refuse any other shape."""
    return "wh_" + secrets.token_hex(8)


def event_id() -> str:
    return "evt_" + _token(16)
