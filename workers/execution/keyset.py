"""Keyset pages: a page begins behind a marker, the sort values and the id of the last document seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.filters import SortKey
from shared.filters.paths import MISSING, resolve
from shared.filters.sort import position
from shared.models.document import Document
from workers.execution.failure import StageFailed

_COLLECTION = "collection_id"


class Keyset:
    """A result in its final order, and markers of places in it."""

    def __init__(
        self, documents: Sequence[Document], order: Sequence[SortKey] | None, *, several_collections: bool
    ) -> None:
        """
        Args:
            order: What the documents are ordered by, ties by document id; None = nothing that a field tells.
            several_collections: Two of them may hold documents of one id, so markers name the collection.
        """
        self._documents = documents
        self._several = several_collections
        # Without sort fields collections come one after the other, which is no order of ids.
        self._order = None if several_collections and not order else order
        self._paths = [key.path for key in order or ()]
        self._id = "document_id" if "id" in self._paths else "id"

    def marker(self, document: Document) -> dict[str, Any]:
        """What a client sends as `after` to go on behind this document; a missing value is null."""
        root = document.root()
        values = {path: resolve(path, root, document.payload) for path in self._paths}
        marker = {path: None if value is MISSING else value for path, value in values.items()}
        marker[self._id] = document.document_id
        if self._several:
            marker[_COLLECTION] = document.collection_id
        return marker

    def start(self, after: Mapping[str, Any]) -> int:
        """The index of the first document behind the marker; its own document may be gone or have moved.

        Raises:
            StageFailed: the marker lacks a field or has another one; or only its document could tell the
                place, and is not in the result.
        """
        self._check(after)
        places = [_place(after[key.path], key) for key in self._order or ()]
        for index, document in enumerate(self._documents):
            if self._names(after, document) and position(document, self._order or ()) == places:
                return index + 1
        if self._order is None:
            raise StageFailed(
                f"pagination.after: document {after[self._id]!r} is not in the result, whose order no field "
                "tells; start again without after, or add a sort_attribute stage"
            )
        order, document_id = self._order, after[self._id]
        behind = (i for i, each in enumerate(self._documents) if _is_behind(each, order, places, document_id))
        return next(behind, len(self._documents))

    def _names(self, after: Mapping[str, Any], document: Document) -> bool:
        return document.document_id == after[self._id] and after.get(_COLLECTION) in (
            None,
            document.collection_id,
        )

    def _check(self, after: Mapping[str, Any]) -> None:
        expected = [*self._paths, self._id]
        missing = [name for name in expected if name not in after]
        strange = [name for name in after if name not in (*expected, _COLLECTION)]
        if missing or strange or not isinstance(after[self._id], str):
            wrong = [f"{name} is missing" for name in missing] + [
                f"{name} is none of them" for name in strange
            ]
            raise StageFailed(
                f"pagination.after must hold {', '.join(expected)}, as next_cursor of the page before does: "
                + ("; ".join(wrong) or f"{self._id} is no text")
            )


def _place(value: Any, key: SortKey) -> tuple[int, Any]:
    """Where a value stands, as `position` says of a document's."""
    holder = Document("", "", payload={"value": value})
    return position(holder, [SortKey("value", key.direction, key.nulls_last)])[0]


def _is_behind(
    document: Document, order: Sequence[SortKey], places: Sequence[tuple[int, Any]], document_id: str
) -> bool:
    for key, here, there in zip(order, position(document, order), places, strict=True):
        if here != there:
            return (here > there) == (key.direction == "asc")
    return document.document_id > document_id
