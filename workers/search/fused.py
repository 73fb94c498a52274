"""The searches of a feature_search: each ranked by the engine, fused here, and only then read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.documents import CollectionRef, DocumentStore
from shared.errors import StageError
from shared.filters import Filter, ranked
from shared.models.document import Document
from workers.documents.selection import METADATA_MAX_BYTES, SELECTION_MAX, Fetched, both
from workers.search.fusion import Method, Ranking, fuse
from workers.search.rankers import ByVectors, Ranker, Scope

# Counted exactly when several collections are counted together, unless one has more values than this.
_FACET_VALUES_MAX = 10_000


Regroup = Callable[[list[Document]], list[Document]]


@dataclass(frozen=True, slots=True)
class Search:
    """One search: how it ranks, where, and how much of it counts."""

    ranker: Ranker
    top_k: int
    min_score: float | None = None
    weight: float = 1.0
    where: Filter | None = None
    refs: Sequence[CollectionRef] | None = None  # None: those of the stage


@dataclass(frozen=True, slots=True)
class Facet:
    """The most frequent values of a field, of all documents that pass the filters in front of the search."""

    path: str
    limit: int


@dataclass(frozen=True, slots=True)
class FusedSearch:
    """A Query (workers/documents/selection.py) of searches; without any, what the filters select.

    Attributes:
        searches: None: there are no searches, the filters alone select; empty: all of them were left out.
        final_top_k: None: all that the searches find.
        refs: collections that replace those of the selection.
        regroup: makes other documents of the best ones, such as one for each group.
        await_embeddings: called before the vectors of a collection are searched.
    """

    searches: Sequence[Search] | None
    fusion: Method
    final_top_k: int | None
    await_embeddings: Callable[[CollectionRef], None]
    facets: Sequence[Facet] = ()
    refs: Sequence[CollectionRef] | None = None
    regroup: Regroup | None = None

    def filters_behind(self, refs: Sequence[CollectionRef]) -> bool:
        return self._alone(refs) is not None

    def fetch(
        self, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None, keep: Filter | None
    ) -> Fetched:
        refs = self.refs or refs
        metadata: dict[str, Any] = {}
        awaiting = self._awaiting(store, refs)
        if awaiting is not None:
            metadata["awaiting_embedding"] = awaiting
        if self.facets:
            metadata["facets"] = self._all_facets(store, refs, where)
        documents, found = self._documents(store, refs, where, keep)
        return Fetched(documents, found, metadata)

    def _documents(
        self, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None, keep: Filter | None
    ) -> tuple[list[Document], int]:
        """(the documents, how many there were before `keep`)."""
        if alone := self._alone(refs):
            limit = min(alone.top_k, self.final_top_k or alone.top_k)
            scope = Scope(alone.refs or refs, both(where, alone.where), keep, limit, payloads=True)
            hits = alone.ranker.rank(store, scope)
            return hits.documents, hits.found
        if self.searches is None:
            documents = _selected(store, refs, where, self.final_top_k or SELECTION_MAX)
        else:
            rankings = [_ranking(search, store, refs, where) for search in self.searches]
            ranked = rankings[0].documents if len(rankings) == 1 else fuse(rankings, self.fusion)
            documents = _read(store, self._all_refs(refs), ranked[: self.final_top_k])
        if self.regroup is not None:
            documents = self.regroup(documents)
        return documents, len(documents)

    def _alone(self, refs: Sequence[CollectionRef]) -> Search | None:
        """The only search, of one collection, with nothing to do afterwards: the engine does it all."""
        if self.searches is None or len(self.searches) != 1 or self.regroup is not None:
            return None
        [search] = self.searches
        has_one_collection = len(search.refs or self.refs or refs) == 1
        return search if has_one_collection and not search.min_score else None

    def _all_refs(self, refs: Sequence[CollectionRef]) -> list[CollectionRef]:
        return list(dict.fromkeys(ref for search in self.searches or () for ref in search.refs or refs))

    def _awaiting(self, store: DocumentStore, refs: Sequence[CollectionRef]) -> int | None:
        """How many documents wait for an embedding that a search here could have found; None: no vectors."""
        searched = dict.fromkeys(
            ref
            for search in self.searches or ()
            if isinstance(search.ranker, ByVectors)
            for ref in search.refs or refs
        )
        for ref in searched:
            self.await_embeddings(ref)
        return sum(store.backlog(ref).count for ref in searched) if searched else None

    def _all_facets(
        self, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None
    ) -> list[dict[str, Any]]:
        facets: list[dict[str, Any]] = []
        size_bytes = 0
        for facet in self.facets:
            facets.append(self._facet(store, refs, where, facet))
            size_bytes += len(orjson.dumps(facets[-1]))
            if size_bytes > METADATA_MAX_BYTES:
                raise StageError(
                    f"the facets have {size_bytes:,} bytes, over the limit of {METADATA_MAX_BYTES:,}; "
                    "count fields with shorter values, or lower their limits"
                )
        return facets

    def _facet(
        self, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None, facet: Facet
    ) -> dict[str, Any]:
        limit = facet.limit if len(refs) == 1 else _FACET_VALUES_MAX
        counts: Counter[tuple[int, Any]] = Counter()
        values: dict[tuple[int, Any], Any] = {}
        for ref in refs:
            for value, count in store.facet(ref, facet.path, where=where, limit=limit):
                counts[ranked(value)] += count
                values.setdefault(ranked(value), value)
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: facet.limit]
        return {"key": facet.path, "values": [{"value": values[key], "count": n} for key, n in ordered]}


def _ranking(
    search: Search, store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None
) -> Ranking:
    scope = Scope(search.refs or refs, both(where, search.where), None, search.top_k, payloads=False)
    documents = search.ranker.rank(store, scope).documents
    if search.min_score:
        least = search.min_score
        documents = [each for each in documents if search.ranker.relevance(each.score or 0.0) >= least]
    return Ranking(documents, search.weight, search.ranker.relevance)


def _selected(
    store: DocumentStore, refs: Sequence[CollectionRef], where: Filter | None, limit: int
) -> list[Document]:
    documents = [document for ref in refs for document in store.select(ref, where=where, limit=limit)]
    return documents[:limit]


def _read(store: DocumentStore, refs: Sequence[CollectionRef], ranked: Sequence[Document]) -> list[Document]:
    """The same documents with their content; one that was deleted meanwhile is left out."""
    read: dict[tuple[str, str], Document] = {}
    for ref in refs:
        wanted = [each.document_id for each in ranked if each.collection_id == ref.collection_id]
        for document in store.get(ref, wanted):
            read[document.collection_id, document.document_id] = document
    found = [(read.get((each.collection_id, each.document_id)), each.score or 0.0) for each in ranked]
    return [document.with_score(score) for document, score in found if document is not None]
