"""What a document engine offers. Filters and sorts mean what shared/filters says, whatever the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.errors import InvalidInput
from shared.filters.ast import Filter
from shared.filters.sort import SortKey
from shared.models.document import Document

RESERVED_FIELDS = frozenset({"document_id", "collection_id", "_internal"})
MAX_QUERY_TERMS = 64

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def validate_id(value: str, name: str) -> str:
    """Refuse what must not become a file name or a key.

    Raises:
        InvalidInput: not 1 to 128 letters, digits, `_` or `-`.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidInput.at(
            (name,), f"{value!r} is no id: 1 to 128 letters, digits, underscores or hyphens", value=value
        )
    return value


def validate_document_id(value: str) -> str:
    """Documents are the user's to name: only what could not be seen or sent is refused.

    Raises:
        InvalidInput: not 1 to 255 printable characters, or spaces around them.
    """
    if not (
        isinstance(value, str) and 1 <= len(value) <= 255 and value.isprintable() and value == value.strip()
    ):
        raise InvalidInput.at(
            ("document_id",),
            f"{value!r} is no document id: 1 to 255 printable characters, no spaces around them",
            value=value,
        )
    return value


@dataclass(frozen=True, slots=True)
class CollectionRef:
    """Names one collection. Raises InvalidInput when an id is malformed."""

    namespace_id: str
    collection_id: str

    def __post_init__(self) -> None:
        validate_id(self.namespace_id, "namespace_id")
        validate_id(self.collection_id, "collection_id")


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """One document to store.

    Attributes:
        fields: the user's fields; none of RESERVED_FIELDS.
        vectors: name -> numbers. None keeps the stored vectors, a mapping replaces them all.
        system: entries of `_internal` besides those the engine sets itself (ids and times).
    """

    document_id: str
    fields: Mapping[str, Any]
    vectors: Mapping[str, Sequence[float]] | None = None
    system: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextHits:
    """The result of a text search.

    Attributes:
        documents: with scores (BM25, higher is better, unbounded); best first, ties by document_id.
        found: how many hits there were before `keep` was applied (at most `limit`).
    """

    documents: list[Document]
    found: int


class DocumentStore(Protocol):
    """Synchronous. All methods raise Unavailable when the engine is busy, full or away; all but
    `create_collection` and the drops raise NotFound for an unknown collection.
    """

    def create_collection(self, ref: CollectionRef) -> None:
        """Make an empty collection; an existing one is left as it is."""

    def drop_collection(self, ref: CollectionRef) -> None:
        """Delete a collection with its documents; an unknown one is no error."""

    def drop_namespace(self, namespace_id: str) -> None:
        """Delete all collections of a namespace; an unknown one is no error."""

    def upsert(self, ref: CollectionRef, documents: Sequence[DocumentWrite]) -> list[Document]:
        """Store the documents: all or none, durable and visible to every reader on return.

        An existing id is replaced: `created_at` stays, `updated_at` is new.

        Returns:
            The stored documents in the order given.

        Raises:
            InvalidInput: a malformed id, a reserved field, a value that JSON cannot hold, a bad vector.
        """

    def get(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[Document]:
        """The documents in the order asked; missing ones are left out."""

    def get_vectors(
        self, ref: CollectionRef, document_ids: Sequence[str], names: Sequence[str] | None = None
    ) -> dict[str, dict[str, list[float]]]:
        """document_id -> name -> numbers (float32), for documents that have any; all names when None."""

    def delete(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[str]:
        """Delete in one transaction and return the ids that existed, in the order given."""

    def count(self, ref: CollectionRef, where: Filter | None = None) -> int:
        """How many documents pass the filter."""

    def select(
        self,
        ref: CollectionRef,
        *,
        where: Filter | None = None,
        sort: Sequence[SortKey] = (),
        limit: int,
        offset: int = 0,
        after: str | None = None,
    ) -> list[Document]:
        """One page of the documents that pass the filter, in order (document_id breaks ties).

        Args:
            after: a position from cursor.cursor_of(last document, sort): the page begins behind it, so that
                documents written meanwhile neither repeat nor hide others.

        Raises:
            BadRequest: `after` is no position of this sort.
        """

    def search_text(
        self,
        ref: CollectionRef,
        query: str,
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
    ) -> TextHits:
        """The best `limit` documents by BM25 over all their texts, for any of the query's first 64 words.

        Args:
            where: filters before the cut at `limit`.
            keep: filters after it, the hits alone.
        """
