"""feature_search: keyword, vector and hybrid search over the collections."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from shared.errors import StageError
from shared.filters import And, Condition, Filter, Or, SortKey, parse_filter
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.groups import best_first, collapse, group_documents
from workers.documents.selection import Selection
from workers.search.assembly import ranker_of
from workers.search.fused import Facet, FusedSearch, Regroup
from workers.search.fused import Search as RankedSearch
from workers.search.parameters import FeatureSearchParameters, Search
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
        if not parameters.searches and not parameters.facets and not parameters.group_by:
            return None
        return selection.searched(
            self._fused(context, regroup=self._grouped if parameters.group_by else None)
        )

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        """Behind another stage: search among its documents, which keep what was attached to them."""
        if not documents:
            return StageOutput([])
        given = {(document.collection_id, document.document_id): document for document in documents}
        among = Selection(context.collections, where=_among(given), query=self._fused(context))
        fetched = among.fetch(context.documents)
        found = [(given.get((hit.collection_id, hit.document_id)), hit) for hit in fetched.documents]
        kept = [document.with_score(hit.score or 0.0) for document, hit in found if document]
        if not self.parameters.searches:
            kept = documents[: self._top_k]
        return StageOutput(self._grouped(kept) if self.parameters.group_by else kept, fetched.metadata)

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        if self.parameters.group_by:
            return None
        return (SortKey("score", "desc"),) if self.parameters.searches else before

    @property
    def _top_k(self) -> int | None:
        """Groups have a limit of their own."""
        return None if self.parameters.group_by else self.parameters.final_top_k

    def _grouped(self, documents: list[Document]) -> list[Document]:
        by = self.parameters.group_by
        if by is None:
            return documents
        groups = group_documents(best_first(documents), [by.field])[: by.limit]
        return [each for group in groups for each in collapse(group, by.output_mode, by.max_per_group)]

    def _fused(self, context: StageContext, regroup: Regroup | None = None) -> FusedSearch:
        parameters = self.parameters
        searches = [
            ranked
            for number, search in enumerate(parameters.searches)
            if (ranked := self._ranked(search, number, context)) is not None
        ]
        return FusedSearch(
            searches if parameters.searches else None,
            parameters.fusion,
            self._top_k,
            context.await_embeddings,
            [Facet(each.key, each.limit) for each in parameters.facets or ()],
            context.collections_named(parameters.collection_identifiers),
            regroup,
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
            ranker_of(search, name, context),
            search.top_k,
            search.min_score,
            search.weight,
            parse_filter(search.pre_filters, loc=("searches", number, "pre_filters")),
            refs,
        )


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
