"""Documents that have not been fetched yet: a question to the engine which stages can still refine.

A pipeline starts with "everything in these collections". A search or filter that comes first only
narrows the question; it is asked when a stage needs the documents themselves. So a filter before or
after a search runs inside the engine, and no document that is dropped is ever read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.documents import CollectionRef, DocumentStore
from shared.errors import NotFound, StageError
from shared.filters import And, Condition, Filter, SortKey, sort_documents
from shared.models.document import Document

# How many documents a pipeline takes from one collection when no search cuts them (contract, section 6).
SELECTION_MAX = 1_000
# Reciprocal rank fusion, Cormack, Clarke and Büttcher 2009, with their constant.
RRF_K = 60


@dataclass(frozen=True, slots=True)
class TextQuery:
    """BM25 over the string fields: the best `limit` documents with at least `min_score` (0..1)."""

    text: str
    limit: int
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """`found` counts what the search found, before a filter behind it dropped some."""

    documents: list[Document]
    found: int


@dataclass(frozen=True, slots=True)
class Selection:
    refs: Sequence[CollectionRef]
    where: Filter | None = None  # before the search's cut
    query: TextQuery | None = None
    keep: Filter | None = None  # after it
    sort: Sequence[SortKey] = ()

    def filtered(self, condition: Filter) -> Selection | None:
        """Narrowed by one more condition; None where the engine cannot tell.

        Behind a search over several collections, or one with a least score, the cut is made outside the
        engine; and scores are not among the fields that a filter in the engine sees.
        """
        if self.query is None:
            return replace(self, where=both(self.where, condition))
        if len(self.refs) > 1 or self.query.min_score or _tests_score(condition):
            return None
        return replace(self, keep=both(self.keep, condition))

    def searched(self, query: TextQuery) -> Selection | None:
        return replace(self, query=query, sort=()) if self.query is None else None

    def sorted_by(self, *keys: SortKey) -> Selection | None:
        """In this order; None where the order so far decides ties that the engine would break otherwise."""
        if self.query is not None or (self.sort and len(self.refs) > 1):
            return None
        return replace(self, sort=keys)

    def fetch(self, store: DocumentStore) -> Fetched:
        """Ask the engine.

        Raises:
            StageError: a collection was deleted after the execution was accepted.
        """
        try:
            if self.query is None:
                documents = self._select(store)
                return Fetched(documents, len(documents))
            return self._search(store, self.query)
        except NotFound as error:
            raise StageError(error.message) from error

    def _select(self, store: DocumentStore) -> list[Document]:
        parts = [
            store.select(ref, where=self.where, sort=self.sort, limit=SELECTION_MAX) for ref in self.refs
        ]
        if len(parts) == 1:
            return parts[0]
        documents = [document for part in parts for document in part]
        return sort_documents(documents, self.sort) if self.sort else documents

    def _search(self, store: DocumentStore, query: TextQuery) -> Fetched:
        hits = [
            store.search_text(ref, query.text, where=self.where, keep=self.keep, limit=query.limit)
            for ref in self.refs
        ]
        if len(hits) == 1 and not query.min_score:
            return Fetched(hits[0].documents, hits[0].found)
        rankings = [_at_least(query.min_score or 0.0, part.documents) for part in hits]
        documents = rankings[0] if len(rankings) == 1 else fuse_collections(rankings, query.limit)
        return Fetched(documents, len(documents))


def relevance(bm25: float) -> float:
    """A lexical score, which has no upper bound, on the scale 0..1."""
    return bm25 / (bm25 + 10.0)


def _at_least(min_score: float, ranking: Sequence[Document]) -> list[Document]:
    return [document for document in ranking if relevance(document.score or 0.0) >= min_score]


def _tests_score(condition: Filter) -> bool:
    if isinstance(condition, Condition):
        return condition.path.split(".", 1)[0] == "score"
    return any(_tests_score(child) for child in condition.children)


def fuse_collections(rankings: Sequence[Sequence[Document]], limit: int) -> list[Document]:
    """One ranking from several, by reciprocal rank.

    BM25 scores of two collections cannot be compared, since each has its own term statistics; ranks can.
    The new score is 1 / (60 + rank); ties by document id.
    """
    scored = [
        document.with_score(1.0 / (RRF_K + rank))
        for ranking in rankings
        for rank, document in enumerate(ranking, start=1)
    ]
    scored.sort(key=lambda document: (-(document.score or 0.0), document.document_id))
    return scored[:limit]


def both(first: Filter | None, second: Filter) -> Filter:
    return second if first is None else And((first, second))
