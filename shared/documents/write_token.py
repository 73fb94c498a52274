"""Write tokens: the number of a write in its collection, for a search that must see it."""

from __future__ import annotations

import base64
import binascii

import orjson

from shared.errors import InvalidInput

_PREFIX = "wt_"


def make_write_token(collection_id: str, write_seq: int) -> str:
    content = orjson.dumps([collection_id, write_seq])
    return _PREFIX + base64.urlsafe_b64encode(content).decode().rstrip("=")


def read_write_token(token: str) -> tuple[str, int]:
    """The collection id and the number of the write.

    Raises:
        InvalidInput: not a write token.
    """
    encoded = token.removeprefix(_PREFIX)
    try:
        content = orjson.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        collection_id, write_seq = content
    except (ValueError, TypeError, binascii.Error):
        collection_id, write_seq = None, None
    if not (token.startswith(_PREFIX) and isinstance(collection_id, str) and isinstance(write_seq, int)):
        raise InvalidInput.at(
            ("write_token",), f"{token[:40]!r} is no write token; send one that an upsert answered"
        )
    return collection_id, write_seq
