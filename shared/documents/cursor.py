"""Positions in an ordered list of documents, as opaque text for clients."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from shared.errors import BadRequest
from shared.filters.sort import RANK_AFTER, SortKey, position
from shared.filters.values import is_number, number
from shared.models.document import Document


def cursor_of(document: Document, sort: Sequence[SortKey] = ()) -> str:
    """The position of a document in the order `sort`."""
    content = [_signature(sort), position(document, sort), document.document_id]
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sequence[SortKey]) -> tuple[list[tuple[int, Any]], str]:
    """The (rank, value) per sort key, and the document_id.

    Raises:
        BadRequest: not a cursor, or one of another order.
    """
    try:
        content = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        signature, places, document_id = content
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadRequest(f"{cursor[:40]!r} is not a cursor; start from the first page") from error
    if signature != _signature(sort):
        raise BadRequest("the cursor belongs to another sort; keep the sort or start from the first page")
    if not isinstance(document_id, str) or not _are_places(places, len(sort)):
        raise BadRequest(f"the cursor {cursor[:40]!r} is damaged; start from the first page")
    return [(rank, value) for rank, value in places], document_id


def _signature(sort: Sequence[SortKey]) -> list[list[Any]]:
    return [[key.path, key.direction, key.nulls_last] for key in sort]


def _are_places(places: Any, length: int) -> bool:
    return (
        isinstance(places, list)
        and len(places) == length
        and all(isinstance(place, list) and len(place) == 2 for place in places)
        and all(rank in range(RANK_AFTER + 1) and _is_comparable(value) for rank, value in places)
    )


def _is_comparable(value: Any) -> bool:
    """What sort.position can have written: in particular no integer beyond 64 bits."""
    return value is None or isinstance(value, str) or (is_number(value) and number(value) is value)
