"""Several collections read as one: one order, and positions in it that hold while others write."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import islice
from typing import Any

from shared.documents.cursor import cursor_of, read_cursor
from shared.documents.store import CollectionRef, DocumentStore
from shared.filters.ast import And, Filter
from shared.filters.evaluate import compile_predicate
from shared.filters.sort import SortKey, position
from shared.models.document import Document

# Documents of a collection that are held at a time. Each read sorts the collection anew, so a long way is
# gone in growing steps.
_READ_AHEAD = 100
_READ_AHEAD_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Behind this document; collections order what has the same sort values and id.

    Attributes:
        cursor: of shared/documents/cursor.py.
    """

    cursor: str
    collection_id: str

    @classmethod
    def of(cls, document: Document, sort: Sequence[SortKey]) -> Place:
        return cls(cursor_of(document, sort), document.collection_id)


def select_across(
    store: DocumentStore,
    refs: Sequence[CollectionRef],
    *,
    where: Filter | None,
    sort: Sequence[SortKey],
    limit: int,
    offset: int = 0,
    after: Place | None = None,
) -> list[Document]:
    """As `DocumentStore.select`, over all collections; ties go by document_id, then by collection.

    Raises:
        BadRequest: `after` is no position of this sort.
    """
    if len(refs) == 1:
        cursor = after.cursor if after else None
        return store.select(refs[0], where=where, sort=sort, limit=limit, offset=offset, after=cursor)
    found = iterate_across(
        store, refs, where=where, sort=sort, after=after, read_ahead=min(limit, _READ_AHEAD)
    )
    return list(islice(found, offset, offset + limit))


def iterate_across(
    store: DocumentStore,
    refs: Sequence[CollectionRef],
    *,
    where: Filter | None,
    sort: Sequence[SortKey],
    after: Place | None = None,
    read_ahead: int = _READ_AHEAD,
) -> Iterator[Document]:
    """All the documents in order, a few of each collection at a time."""
    parts = [_documents(store, ref, where, sort, after, read_ahead) for ref in refs]
    return heapq.merge(*parts, key=_sort_key(sort))


def _documents(
    store: DocumentStore,
    ref: CollectionRef,
    where: Filter | None,
    sort: Sequence[SortKey],
    after: Place | None,
    read_ahead: int,
) -> Iterator[Document]:
    cursor = None
    if after is not None:
        cursor = after.cursor
        if ref.collection_id > after.collection_id:
            yield from _at(store, ref, where, sort, after)
    while True:
        page = store.select(ref, where=where, sort=sort, limit=read_ahead, after=cursor)
        yield from page
        if len(page) < read_ahead:
            return
        cursor = cursor_of(page[-1], sort)
        read_ahead = min(2 * read_ahead, _READ_AHEAD_MAX)


def _at(
    store: DocumentStore, ref: CollectionRef, where: Filter | None, sort: Sequence[SortKey], place: Place
) -> list[Document]:
    """The collection's document with the very sort values and id of the place, if it has one that passes."""
    values, document_id = read_cursor(place.cursor, sort)
    passes = compile_predicate(where or And(()))
    found = store.get(ref, [document_id])
    return [each for each in found if position(each, sort) == values and passes(each)]


def _sort_key(sort: Sequence[SortKey]) -> Any:
    """A key that stands in the order of SQL: each sort in its own direction, then ids."""

    def compare(left: tuple[Any, ...], right: tuple[Any, ...]) -> int:
        for key, one, other in zip(sort, left[0], right[0], strict=True):
            if one != other:
                # Equal ranks hold values of one type; null has a rank of its own.
                return -1 if (one < other) == (key.direction == "asc") else 1
        return -1 if left[1:] < right[1:] else int(left[1:] > right[1:])

    as_key = cmp_to_key(compare)
    return lambda document: as_key((position(document, sort), document.document_id, document.collection_id))
