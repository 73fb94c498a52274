"""What a document engine offers. Filters and sorts mean what shared/filters says, whatever the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.errors import InvalidInput
from shared.filters.ast import Filter
from shared.filters.sort import SortKey
from shared.models.document import Document

# One vector of numbers, or several of one document, of which the nearest counts.
VectorValue = Sequence[float] | Sequence[Sequence[float]]

# How near two vectors are; shared/documents/sqlite/metrics.py has the scores.
Metric = Literal["cosine", "euclidean", "dot_product"]

RESERVED_FIELDS = frozenset({"document_id", "collection_id", "searchable_at", "_internal"})
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


def vector_name(name_or_uri: str) -> str:
    """The name of a vector: itself, or the last part of a feature URI (`mixpeek://extractor@v1/name`)."""
    return name_or_uri.rpartition("/")[2] if "://" in name_or_uri else name_or_uri


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
        vectors: name -> numbers, or several lists of numbers. None keeps the caller's stored vectors, a
            mapping replaces them all. Vectors that Kennel made of a text live and die with that text.
        system: entries of `_internal` besides those the engine sets itself (ids and times).
    """

    document_id: str
    fields: Mapping[str, Any]
    vectors: Mapping[str, VectorValue] | None = None
    system: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """Which text of a document Kennel embeds itself.

    Attributes:
        model: name of the embedding model, and of the vector.
        fields: dotted paths whose texts are embedded together; () = `text`, or `content` where there is none.
    """

    model: str
    dimensions: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VectorConfig:
    """Vectors that a collection is made for."""

    name: str
    dimensions: int
    metric: Metric = "cosine"


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The vectors of one name in a collection. A name keeps the shape of its first vector."""

    name: str
    dimensions: int
    several: bool  # a document may have several vectors of this name
    metric: Metric = "cosine"


@dataclass(frozen=True, slots=True)
class CollectionShape:
    """What can be searched in a collection besides its texts."""

    embedding: TextEmbedding | None
    indexes: tuple[VectorIndex, ...]

    def index(self, name: str) -> VectorIndex | None:
        return next((index for index in self.indexes if index.name == name), None)


@dataclass(frozen=True, slots=True)
class Written:
    """What an upsert stored.

    Attributes:
        documents: in the order given.
        write_seq: the number of this write in its collection; they grow.
        awaiting: how many of them wait for their embedding.
    """

    documents: list[Document]
    write_seq: int
    awaiting: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a number of changes.

    Attributes:
        documents: those that were changed, as they are now.
        awaiting: how many of them wait for their embedding.
        refused: document_id -> why its change was not possible; it stays as it was.
    """

    documents: list[Document]
    awaiting: int
    refused: Mapping[str, InvalidInput]

    @property
    def last_id(self) -> str | None:
        """The greatest id that was looked at; None: there was none."""
        return max((*(each.document_id for each in self.documents), *self.refused), default=None)


class Change(Protocol):
    """What a stored document is to become; shared/documents/changes.py has them."""

    def apply(self, document: Document) -> DocumentWrite:
        """Raises InvalidInput where the document does not allow it."""


@dataclass(frozen=True, slots=True)
class Hits:
    """The result of a search.

    Attributes:
        documents: with scores, higher is better; best first, ties by document_id.
        found: how many hits there were before `keep` was applied (at most `limit`).
    """

    documents: list[Document]
    found: int


@dataclass(frozen=True, slots=True)
class PendingText:
    """A document in the outbox: its text waits for an embedding, and has failed to get one so often."""

    document_key: int
    write_seq: int
    failures: int
    text: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """The outbox of a collection.

    Attributes:
        oldest_seq: the oldest write that waits, None when nothing does.
        oldest_at_ms: when that was written (epoch ms).
        newest_seq: the newest write that waits.
        failed: how many of them have failed before.
    """

    count: int = 0
    oldest_seq: int | None = None
    oldest_at_ms: int | None = None
    newest_seq: int | None = None
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Ingested:
    """A document in the outbox of alerts, and the number of its write."""

    document_id: str
    write_seq: int


class DocumentStore(Protocol):
    """Synchronous. All methods raise Unavailable when the engine is busy, full or away; all but
    `create_collection` and the drops raise NotFound for an unknown collection.
    """

    def create_collection(
        self,
        ref: CollectionRef,
        embedding: TextEmbedding | None = None,
        declared: Sequence[VectorConfig] | None = None,
    ) -> None:
        """Make an empty collection; an existing one is left as it is.

        Args:
            declared: the only vectors that documents may have, besides the embedding; None = any, and a name
                is learnt with its first vector.
        """

    def drop_collection(self, ref: CollectionRef) -> None:
        """Delete a collection with its documents; an unknown one is no error."""

    def drop_namespace(self, namespace_id: str) -> None:
        """Delete all collections of a namespace; an unknown one is no error."""

    def shape(self, ref: CollectionRef) -> CollectionShape:
        """The collection's embedding and vector indexes."""

    def upsert(
        self, ref: CollectionRef, documents: Sequence[DocumentWrite], *, for_alerts: bool = False
    ) -> Written:
        """Store the documents: all or none, durable and visible to every reader on return.

        An existing id is replaced: `created_at` stays, `updated_at` is new. A text that is new or changed
        loses its old embedding and enters the outbox in the same transaction.

        Args:
            for_alerts: alerts are attached to the collection: all documents enter their outbox, too.

        Raises:
            InvalidInput: a malformed id, a reserved field, a value that JSON cannot hold, a bad vector; at
                (index of the document, ...).
        """

    def change(self, ref: CollectionRef, changes: Mapping[str, Change]) -> Changed:
        """Apply to each document (by its id) its change, read and written in one transaction.

        Ids that do not exist are in neither part of the answer. Own vectors stay; otherwise as `upsert`.
        """

    def change_matching(
        self, ref: CollectionRef, change: Change, *, where: Filter | None, after: str = "", limit: int
    ) -> Changed:
        """The same for the first `limit` documents, by id, that pass the filter and stand behind `after`."""

    def get(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[Document]:
        """The documents in the order asked; missing ones are left out."""

    def get_vectors(
        self, ref: CollectionRef, document_ids: Sequence[str], names: Sequence[str] | None = None
    ) -> dict[str, dict[str, VectorValue]]:
        """document_id -> name -> numbers (float32), for documents that have any; all names when None."""

    def searchable_at(self, ref: CollectionRef, document_ids: Sequence[str]) -> dict[str, str | None]:
        """document_id -> since when all its searches find it (ISO 8601); None: its embedding is pending."""

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

    def scan(
        self, ref: CollectionRef, fields: Sequence[str], *, where: Filter | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """These fields at the root of each document that passes the filter, null where it has none.

        In the order of the ids, as of one moment. Read to the end what is read; it holds one document at a
        time.
        """

    def search_text(
        self,
        ref: CollectionRef,
        query: str,
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
        payloads: bool = True,
    ) -> Hits:
        """The best `limit` documents by BM25 over all their texts, for any word of the query.

        Stop words do not count, unless the query has no others; a word counts as often as it is said. Only
        the first 64 words do. Scores have no upper bound.

        Args:
            where: filters before the cut at `limit`.
            keep: filters after it, the hits alone.
            payloads: False leaves the documents' content out: ids and scores only.
        """

    def search_vector(
        self,
        ref: CollectionRef,
        name: str,
        queries: Sequence[Sequence[float]],
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
        payloads: bool = True,
    ) -> Hits:
        """The best `limit` documents by the metric of the vectors, exactly.

        A document's score is the best of all pairs of a query and one of its vectors: their cosine similarity
        (-1 to 1) or dot product, six decimals, or 1 / (1 + euclidean distance), six digits.

        Args:
            where, keep, payloads: as for `search_text`.

        Raises:
            InvalidInput: the collection has no such index; more than 1,000 queries; one has another number of
                dimensions, or a number that is not finite in float32.
        """

    def facet(
        self, ref: CollectionRef, path: str, *, where: Filter | None = None, limit: int
    ) -> list[tuple[Any, int]]:
        """The most frequent values (text, number, boolean) at a path and how many documents have each.

        Most frequent first, ties by value. Each element of a list counts, once for a document.
        """

    # The outbox: embedding is durable work, kept where the documents are.

    def backlog(self, ref: CollectionRef) -> Backlog:
        """What waits for an embedding."""

    def behind(self) -> list[CollectionRef]:
        """Collections whose outbox is not empty. Cheap: one that was empty is not asked until it changes.

        One that cannot be read is left out.
        """

    def pending_texts(self, ref: CollectionRef, limit: int, *, now_ms: int) -> list[PendingText]:
        """The oldest texts that wait and are due; at least one if there are any, fewer of large documents."""

    def store_embeddings(
        self, ref: CollectionRef, embedded: Sequence[tuple[PendingText, Sequence[float]]]
    ) -> int:
        """Store the vectors, and take their texts off the outbox, in one transaction.

        A text that was changed or deleted meanwhile is left alone. Returns how many were stored.
        """

    def postpone(self, ref: CollectionRef, failed: Sequence[PendingText], *, until_ms: int) -> None:
        """These could not be embedded: not due before `until_ms`, and counted as failed."""

    def embedding_turn(self, ref: CollectionRef) -> AbstractContextManager[bool]:
        """Whether the caller may embed for this collection now: one at a time, and nobody waits."""

    # The outbox of alerts.

    def ingested(self, ref: CollectionRef, limit: int) -> list[Ingested]:
        """The oldest documents in it: whole writes, but for a single one of more than `limit` documents."""

    def dispatched(self, ref: CollectionRef, asked: Sequence[Ingested]) -> None:
        """Take them off, but for what was written again meanwhile."""

    def with_ingested(self) -> list[CollectionRef]:
        """As `behind`, of this outbox."""
