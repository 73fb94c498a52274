"""feature_search: keyword, vector and hybrid search over the collections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from shared.documents import CollectionRef, CollectionShape, as_several
from shared.errors import StageError
from shared.filters import And, Condition, Filter, Or, SortKey, parse_filter
from shared.models.document import Document
from workers.context import StageContext
from workers.rankers import AtRandom, ByVectors, ByWords, QueryVectors, Ranker, Vectors
from workers.search_parameters import (
    DocumentInput,
    DocumentReference,
    FeatureSearchParameters,
    Search,
    TextInput,
    VectorInput,
)
from workers.searching import Facet, FusedSearch
from workers.searching import Search as RankedSearch
from workers.selection import Selection
from workers.stages.base import Stage, StageOutput


class FeatureSearch(Stage[FeatureSearchParameters]):
    """Find documents by keywords (BM25), by vectors (cosine similarity, exact), or by both, fused.

    Several collections are searched as one where scores can be compared: vectors of one name. Keywords are
    ranked in each collection by itself and fused by reciprocal rank, because each has its own statistics.
    """

    stage_id: ClassVar[str] = "feature_search"
    category: ClassVar[str] = "filter"
    icon: ClassVar[str] = "search"
    aliases: ClassVar[tuple[str, ...]] = ("feature_filter",)
    Parameters = FeatureSearchParameters
    filter_parameters = ("searches.*.pre_filters",)

    @property
    def searched_feature(self) -> str | None:
        return next((each.feature_uri for each in self.parameters.searches if not each.lexical), None)

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        parameters = self.parameters
        if not parameters.searches and not parameters.facets:
            return None
        return selection.searched(self._fused(context))

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        """Behind another stage: search among its documents, which keep what was attached to them."""
        given = {(document.collection_id, document.document_id): document for document in documents}
        selection = self.refine(Selection(context.collections, where=_among(given)), context)
        if selection is None or not documents:
            return StageOutput(documents[: self.parameters.final_top_k])
        fetched = selection.fetch(context.documents)
        found = [(given.get((hit.collection_id, hit.document_id)), hit) for hit in fetched.documents]
        kept = [document.with_score(hit.score or 0.0) for document, hit in found if document]
        return StageOutput(kept if self.parameters.searches else documents, fetched.metadata)

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return (SortKey("score", "desc"),) if self.parameters.searches else before

    def _fused(self, context: StageContext) -> FusedSearch:
        parameters = self.parameters
        searches = [
            ranked
            for number, search in enumerate(parameters.searches)
            if (ranked := self._ranked(search, number, context)) is not None
        ]
        return FusedSearch(
            searches if parameters.searches else None,
            parameters.fusion,
            parameters.final_top_k,
            context.await_embeddings,
            [Facet(each.key, each.limit) for each in parameters.facets or ()],
            context.collections_named(parameters.collection_identifiers),
        )

    def _ranked(self, search: Search, number: int, context: StageContext) -> RankedSearch | None:
        """The search as it is run; None where it is left out."""
        name = f"search {number} ({search.feature_uri})"
        if search.is_empty and search.on_empty == "error":
            raise StageError(f"{name}: the query is empty; give one, or set on_empty to skip")
        if search.is_empty and search.on_empty == "skip":
            context.warn(f"{name} was left out: its query is empty")
            return None
        refs = context.collections_named(search.collection_identifiers)
        return RankedSearch(
            _ranker(search, name, context),
            search.top_k,
            search.min_score,
            search.weight,
            parse_filter(search.pre_filters, loc=("searches", number, "pre_filters")),
            refs,
        )


def _ranker(search: Search, name: str, context: StageContext) -> Ranker:
    if search.is_empty:
        return AtRandom(f"{context.idempotency_token}:{name}")
    if search.lexical and isinstance(search.query, TextInput):
        return ByWords(search.query.words)

    def on_missing(ref: CollectionRef) -> None:
        context.warn(f"{name}: collection {ref.collection_id} has no such vectors")

    def on_unknown(reason: str) -> None:
        if not search.optional:
            raise StageError(f"{name}: {reason}")
        context.warn(f"{name} was left out: {reason}")

    return ByVectors(search.feature_uri, _queries(search.query, context), on_missing, on_unknown)


def _queries(query: TextInput | VectorInput | DocumentInput, context: StageContext) -> QueryVectors:
    """The query vectors for the vectors of one name in one collection."""
    if isinstance(query, TextInput):
        return lambda shape, name: _embedded(query, shape, name, context)
    if isinstance(query, VectorInput):
        return lambda shape, name: query.vectors
    return lambda shape, name: _vectors_of(query.document_ref, name, context)


def _embedded(query: TextInput, shape: CollectionShape, name: str, context: StageContext) -> Vectors:
    if shape.embedding is None or shape.embedding.model != name:
        raise StageError(
            f"the vectors {name!r} are the caller's own, so a text cannot be compared with them; "
            "send the query as input_mode vector"
        )
    return context.embed(name, query.words, query.embedding_task or "retrieval_query")


def _vectors_of(reference: DocumentReference, name: str, context: StageContext) -> Vectors:
    ref = context.collection_named(reference.collection_id)
    found = context.documents.get_vectors(ref, [reference.document_id], [name])
    if not found and not context.documents.get(ref, [reference.document_id]):
        raise StageError(f"the query's document {reference.document_id!r} does not exist")
    if not found:
        raise StageError(f"the query's document {reference.document_id!r} has no vector {name!r}, or not yet")
    return as_several(found[reference.document_id][name])


def _among(documents: Collection[tuple[str, str]]) -> Filter:
    """Exactly these (collection id, document id): two collections may hold documents of one id."""
    ids_by_collection: dict[str, list[str]] = {}
    for collection_id, document_id in documents:
        ids_by_collection.setdefault(collection_id, []).append(document_id)
    return Or(
        tuple(
            And(
                (
                    Condition("collection_id", "eq", collection_id),
                    Condition("document_id", "in", document_ids),
                )
            )
            for collection_id, document_ids in ids_by_collection.items()
        )
    )
