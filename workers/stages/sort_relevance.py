"""sort_relevance: order documents by a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from shared.filters import SortKey, field_value, sort_documents
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.selection import Selection
from workers.stages.base import FieldPath, Stage, StageOutput, StageParameters


class SortRelevanceParameters(StageParameters):
    """By which score, in which direction, and where documents without it go."""

    score_field: FieldPath = Field(
        "score",
        description="Dotted path of the score: score, scores.rerank, scores.mmr, or a field of the document.",
    )
    direction: Literal["asc", "desc"] = Field("desc", description="Ascending or descending.")
    missing_score: Literal["bottom", "top", "preserve"] = Field(
        "bottom",
        description="Documents without the score come last, come first, or keep their places in the list.",
    )
    feature_address: None = Field(None, description="Deprecated and without effect; leave it out.")


class SortRelevance(Stage[SortRelevanceParameters]):
    """Order documents by a score; ties by document id.

    The score is looked up beside the document first (what searches and rankings left there), then in it.
    Behind filters only, the engine sorts, so the cut at 1,000 documents takes the first in this order.
    """

    stage_id: ClassVar[str] = "sort_relevance"
    category: ClassVar[str] = "sort"
    icon: ClassVar[str] = "trending-up"
    Parameters = SortRelevanceParameters

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        return None if self._preserves else selection.sorted_by(self._key)

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        if not self._preserves:
            return StageOutput(sort_documents(documents, [self._key]))
        path, ordered = self.parameters.score_field, list(documents)
        places = [place for place, each in enumerate(documents) if field_value(each, path) is not None]
        scored = sort_documents([documents[place] for place in places], [self._key])
        for place, document in zip(places, scored, strict=True):
            ordered[place] = document
        return StageOutput(ordered)

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return None if self._preserves else (self._key,)

    @property
    def _preserves(self) -> bool:
        return self.parameters.missing_score == "preserve"

    @property
    def _key(self) -> SortKey:
        parameters = self.parameters
        return SortKey(parameters.score_field, parameters.direction, parameters.missing_score != "top")
