"""Orders of documents, in plain Python. sql_sort.py must agree on every input.

Values rank boolean < number < text < list < object; within a rank: false < true, numbers by value, texts by
code point, lists and objects by their JSON text. Null and missing values stand at the end named by
`nulls_last`, whatever the direction. Ties go by document_id, ascending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from shared.filters.paths import field_value
from shared.filters.values import is_number, number
from shared.models.document import Document

RANKS = {"boolean": 1, "number": 2, "text": 3, "list": 4, "object": 5}
RANK_BEFORE, RANK_AFTER = 0, 9


@dataclass(frozen=True, slots=True)
class SortKey:
    path: str
    direction: Literal["asc", "desc"] = "asc"
    nulls_last: bool = True

    @property
    def null_rank(self) -> int:
        """The rank that puts nulls where `nulls_last` wants them once the direction is applied."""
        return RANK_AFTER if self.nulls_last == (self.direction == "asc") else RANK_BEFORE


def ranked(value: Any) -> tuple[int, Any]:
    """(rank, value within the rank) of a value that is not null: equal values have equal pairs.

    Raises:
        OverflowError: an integer too large for a double.
    """
    if isinstance(value, bool):
        return RANKS["boolean"], int(value)
    if is_number(value):
        return RANKS["number"], number(value)
    if isinstance(value, str):
        return RANKS["text"], value
    return RANKS["list" if isinstance(value, list) else "object"], orjson.dumps(value).decode()


def sort_documents(documents: Sequence[Document], keys: Sequence[SortKey]) -> list[Document]:
    """A new list in order; without keys, by document_id."""
    ordered = sorted(documents, key=lambda document: document.document_id)
    for key in reversed(keys):  # stable sorts, least significant key first
        ordered.sort(key=lambda document: _comparable(document, key), reverse=key.direction == "desc")
    return ordered


def position(document: Document, keys: Sequence[SortKey]) -> list[tuple[int, Any]]:
    """Where the document stands: (rank, value) per key, the value None for null."""
    return [_rank_and_value(document, key) for key in keys]


def _comparable(document: Document, key: SortKey) -> tuple[int, Any]:
    rank, value = _rank_and_value(document, key)
    return rank, 0 if value is None else value


def _rank_and_value(document: Document, key: SortKey) -> tuple[int, Any]:
    value = field_value(document, key.path)
    return (key.null_rank, None) if value is None else ranked(value)
