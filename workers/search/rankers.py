"""How one search ranks the documents of its collections: by words, by vectors, or at random."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.documents import CollectionRef, CollectionShape, DocumentStore, Hits
from shared.documents.features import index_name
from shared.errors import InvalidInput, StageError
from shared.filters import And, Filter, compile_predicate
from shared.models.document import Document
from workers.search.fusion import Ranking, fuse, merged_by_score

Vectors = Sequence[Sequence[float]]
# Makes the query for the vectors of one name in a collection of this shape; none: nothing is near.
QueryVectors = Callable[[CollectionShape, str], Vectors]
# How many documents a random choice is made from.
_RANDOM_POOL_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which documents are ranked, and how many are wanted.

    Attributes:
        where: filters before the cut at `limit`.
        keep: filters after it; only for one collection.
        payloads: False: ids and scores are enough.
    """

    refs: Sequence[CollectionRef]
    where: Filter | None
    keep: Filter | None
    limit: int
    payloads: bool


class Ranker(ABC):
    """One way to rank."""

    @abstractmethod
    def rank(self, store: DocumentStore, scope: Scope) -> Hits:
        """The best `limit` documents of all collections together.

        Raises:
            StageError: the search makes no sense in these collections.
        """

    @abstractmethod
    def relevance(self, score: float) -> float:
        """A score of this ranker on a scale of 0 to 1."""


@dataclass(frozen=True, slots=True)
class ByWords(Ranker):
    """BM25. Each collection has statistics of its own, so ranks are fused instead of scores."""

    text: str

    def rank(self, store: DocumentStore, scope: Scope) -> Hits:
        hits = [
            store.search_text(
                ref,
                self.text,
                where=scope.where,
                keep=scope.keep,
                limit=scope.limit,
                payloads=scope.payloads,
            )
            for ref in scope.refs
        ]
        return hits[0] if len(hits) == 1 else _by_rank([each.documents for each in hits], scope.limit)

    def relevance(self, score: float) -> float:
        """BM25 has no upper bound."""
        return score / (score + 10.0)


@dataclass(frozen=True, slots=True)
class ByVectors(Ranker):
    """Nearness to the nearest query vector, by the metric of the vectors.

    Attributes:
        feature: URI or name of the vectors.
        on_missing: told of collections that have no such vectors, while others have.
        on_unknown: told why when no collection has; raises where that is an error.
    """

    feature: str
    queries: QueryVectors
    on_missing: Callable[[CollectionRef], None]
    on_unknown: Callable[[str], None]

    def rank(self, store: DocumentStore, scope: Scope) -> Hits:
        shapes = {ref: store.shape(ref) for ref in scope.refs}
        names = {ref: index_name(shape, self.feature) for ref, shape in shapes.items()}
        if not any(names.values()):
            if scope.refs:
                self.on_unknown(self._unknown(list(shapes.values())))
            return Hits([], 0)
        found: dict[str, list[Hits]] = {}
        for ref, name in names.items():
            if name is None:
                self.on_missing(ref)
            elif queries := self.queries(shapes[ref], name):
                found.setdefault(name, []).append(self._search(store, scope, ref, name, queries))
        return self._joined(list(found.values()), scope.limit)

    def relevance(self, score: float) -> float:
        """Below 0 is as far as can be; only dot products exceed 1, which then is as near as can be."""
        return min(1.0, max(0.0, score))

    def _search(
        self, store: DocumentStore, scope: Scope, ref: CollectionRef, name: str, queries: Vectors
    ) -> Hits:
        try:
            return store.search_vector(
                ref,
                name,
                queries,
                where=scope.where,
                keep=scope.keep,
                limit=scope.limit,
                payloads=scope.payloads,
            )
        except InvalidInput as error:
            raise StageError(error.message) from error

    def _joined(self, found: Sequence[Sequence[Hits]], limit: int) -> Hits:
        """Similarities under one name can be compared; under different names only ranks can."""
        if not found:
            return Hits([], 0)
        if len(found) == 1 and len(found[0]) == 1:
            return found[0][0]
        rankings = [merged_by_score([hits.documents for hits in same])[:limit] for same in found]
        if len(rankings) == 1:
            return Hits(rankings[0], len(rankings[0]))
        return _by_rank(rankings, limit)

    def _unknown(self, shapes: Sequence[CollectionShape]) -> str:
        known = sorted({index.name for shape in shapes for index in shape.indexes})
        there_are = f"there are: {', '.join(known)}" if known else "there are none"
        return (
            f"no collection has vectors for the feature {self.feature!r} ({there_are}); "
            "name one of these, or search with lexical: true"
        )


@dataclass(frozen=True, slots=True)
class AtRandom(Ranker):
    """What `on_empty: random` shows instead of an answer to no question."""

    seed: str

    def rank(self, store: DocumentStore, scope: Scope) -> Hits:
        documents = [
            document
            for ref in scope.refs
            for document in store.select(ref, where=scope.where, limit=_RANDOM_POOL_MAX)
        ]
        chosen = random.Random(self.seed).sample(documents, min(scope.limit, len(documents)))
        keeps = compile_predicate(scope.keep or And(()))
        return Hits([document.with_score(0.0) for document in chosen if keeps(document)], len(chosen))

    def relevance(self, score: float) -> float:
        return score


def _by_rank(rankings: Sequence[Sequence[Document]], limit: int) -> Hits:
    parts = [Ranking(documents, 1.0, float) for documents in rankings]
    fused = fuse(parts, "rrf")[:limit]
    return Hits(fused, len(fused))
