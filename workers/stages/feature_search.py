"""feature_search: ranked search over the collections, by BM25."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from shared.errors import StageError
from shared.filters import And, Condition, Filter, Or, SortKey
from shared.models.document import Document
from workers.context import StageContext
from workers.selection import Selection, TextQuery
from workers.stages.base import Stage, StageOutput, StageParameters


class TextInput(StageParameters):
    """A query given as text."""

    input_mode: Literal["text"] = "text"
    value: str | None = Field(None, max_length=10_000, description="The text to search for.")
    text: str | None = Field(None, max_length=10_000, description="Old name of `value`.")
    embedding_task: None = Field(None, description="Only for vector search, which is not available yet.")

    @property
    def words(self) -> str:
        return (self.value or self.text or "").strip()


class Search(StageParameters):
    """One search of the stage."""

    model_config = ConfigDict(json_schema_extra={"required": ["feature_uri", "query", "lexical"]})

    feature_uri: str = Field(
        min_length=1, description="Feature to search; a lexical search covers all string fields."
    )
    query: TextInput = Field(description="What to search for.")
    lexical: Literal[True] = Field(
        description="BM25 keyword search; vector search (false) is not available yet."
    )
    top_k: int = Field(100, ge=1, le=5000, description="Best documents taken.")
    min_score: float | None = Field(
        None, ge=0, le=1, description="Least relevance, score / (score + 10) for a lexical score."
    )
    weight: float = Field(1.0, ge=0, le=1, description="Weight in the fusion; one search is not fused.")
    optional: bool = Field(False, description="Lexical search has no index that could be empty.")
    on_empty: Literal["error", "skip"] = Field(
        "error", description="When the query is empty: fail, or find nothing."
    )
    collection_identifiers: None = Field(None, description="Not available yet: set them on the retriever.")
    query_preprocessing: None = Field(None, description="Not available yet.")


class FeatureSearchParameters(StageParameters):
    """A search and how its result is cut. One lexical search for now."""

    searches: Annotated[list[Search], Field(max_length=1)] = Field(
        default_factory=list, description="The search; empty = only the pre_filters select documents."
    )
    final_top_k: int = Field(25, ge=1, le=5000, description="Documents that go on.")
    fusion: Literal["rrf", "dbsf", "weighted", "max"] = Field(
        "rrf", description="How several searches are fused; one search keeps its scores."
    )
    collection_identifiers: None = Field(None, description="Not available yet: set them on the retriever.")
    facets: None = Field(None, description="Not available yet.")
    group_by: None = Field(None, description="Not available yet.")
    hard_timeout_ms: None = Field(None, description="Not available yet.")
    interactive: Literal[False] = Field(False, description="Not available.")
    degrade_retry: Literal[False] = Field(False, description="Not available.")
    auto_preprocess: bool = Field(True, description="Lexical queries need no preprocessing.")
    query_preprocessing: None = Field(None, description="Not available yet.")
    learning_config: None = Field(None, description="Not available.")
    cache_behavior: Literal["auto", "disabled"] = Field(
        "auto", description="There is no cache; nothing is kept."
    )
    cache_ttl_seconds: None = Field(None, description="There is no cache.")


class FeatureSearch(Stage[FeatureSearchParameters]):
    """Find documents by BM25 over all their string fields, best first.

    Several collections are ranked each by itself and fused by reciprocal rank, because BM25 scores of
    different collections cannot be compared.
    """

    stage_id: ClassVar[str] = "feature_search"
    category: ClassVar[str] = "filter"
    icon: ClassVar[str] = "search"
    aliases: ClassVar[tuple[str, ...]] = ("feature_filter",)
    Parameters = FeatureSearchParameters

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        parameters = self.parameters
        if not parameters.searches:
            return None
        search = parameters.searches[0]
        if not search.query.words and search.on_empty == "error":
            raise StageError("the query is empty; give one, or set on_empty to skip")
        limit = min(search.top_k, parameters.final_top_k)
        return selection.searched(TextQuery(search.query.words, limit, search.min_score))

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        """Behind another stage: search among its documents, which keep what was attached to them."""
        if not self.parameters.searches:
            return StageOutput(documents[: self.parameters.final_top_k])
        given = {(document.collection_id, document.document_id): document for document in documents}
        selection = self.refine(Selection(context.collections, where=_among(given)), context)
        found = selection.fetch(context.documents).documents if selection and documents else []
        scored = [(given.get((hit.collection_id, hit.document_id)), hit.score or 0.0) for hit in found]
        return StageOutput([document.with_score(score) for document, score in scored if document])

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return (SortKey("score", "desc"),) if self.parameters.searches else before


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
