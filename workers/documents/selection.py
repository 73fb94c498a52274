"""Documents that have not been fetched yet: a question to the engine which stages can still refine.

A pipeline starts with "everything in these collections". A search or filter that comes first only
narrows the question; it is asked when a stage needs the documents themselves. So a filter before or
after a search runs inside the engine, and no document that is dropped is ever read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from shared.documents import CollectionRef, DocumentStore
from shared.errors import NotFound, StageError
from shared.filters import And, Condition, Filter, Not, Or, SortKey, sort_documents
from shared.models.document import Document

# How many documents a pipeline takes from one collection when no search cuts them (contract, section 6).
SELECTION_MAX = 1_000
# What a stage reports stands in its statistics, which every poll of the execution carries.
METADATA_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Fetched:
    """`found` counts what the search found, before a filter behind it dropped some.

    `metadata` is what the search reports in its statistics.
    """

    documents: list[Document]
    found: int
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Query(Protocol):
    """A search of a selection."""

    def filters_behind(self, refs: Sequence[CollectionRef]) -> bool:
        """Whether the engine can filter behind it: nothing is cut or fused outside of the engine."""

    def fetch(
        self, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None, keep: Filter | None
    ) -> Fetched:
        """Ask the engine: `where` filters before the search's cut, `keep` after it."""


@dataclass(frozen=True, slots=True)
class Selection:
    refs: Sequence[CollectionRef]
    where: Filter | None = None  # before the search's cut
    query: Query | None = None
    keep: Filter | None = None  # after it
    sort: Sequence[SortKey] = ()

    def filtered(self, condition: Filter) -> Selection | None:
        """Narrowed by one more condition; None where the engine cannot tell.

        Scores, for one, are not among the fields that a filter in the engine sees.
        """
        if self.query is None:
            return replace(self, where=both(self.where, condition))
        if not self.query.filters_behind(self.refs) or _tests_score(condition):
            return None
        return replace(self, keep=both(self.keep, condition))

    def searched(self, query: Query) -> Selection | None:
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
            return self.query.fetch(store, self.refs, self.where, self.keep)
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


def both(first: Filter | None, second: Filter | None) -> Filter | None:
    """What must hold of two conditions, of which each may be absent."""
    if first is None or second is None:
        return second if first is None else first
    return And((first, second))


def _tests_score(condition: Filter) -> bool:
    if isinstance(condition, Condition):
        return condition.path.split(".", 1)[0] == "score"
    return isinstance(condition, And | Or | Not) and any(map(_tests_score, condition.children))
