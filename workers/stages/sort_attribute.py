"""sort_attribute: order documents by a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from shared.filters import SortKey, sort_documents
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.selection import Selection
from workers.stages.base import Stage, StageOutput, StageParameters


class SortAttributeParameters(StageParameters):
    """By which field, in which direction, and where documents without it go."""

    field: str = Field(
        "metadata.created_at", min_length=1, description="Dotted path of the field to sort by."
    )
    direction: Literal["asc", "desc"] = Field("desc", description="Ascending or descending.")
    nulls_last: bool = Field(
        True, description="Documents without the field come last; if false, first in asc and last in desc."
    )


class SortAttribute(Stage[SortAttributeParameters]):
    """Order documents by any field; ties by document id.

    Behind filters only, the engine sorts, so the cut at 1,000 documents takes the first in this order.
    """

    stage_id: ClassVar[str] = "sort_attribute"
    category: ClassVar[str] = "sort"
    icon: ClassVar[str] = "arrow-down-up"
    Parameters = SortAttributeParameters

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        return selection.sorted_by(self._key())

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        return StageOutput(sort_documents(documents, [self._key()]))

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return (self._key(),)

    def _key(self) -> SortKey:
        parameters = self.parameters
        nulls_last = parameters.nulls_last or parameters.direction == "desc"
        return SortKey(parameters.field, parameters.direction, nulls_last)
