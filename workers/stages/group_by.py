"""group_by: collapse documents by the value of a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from shared.filters import SortKey
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.groups import GroupMode, best_first, collapse, group_documents
from workers.stages.base import FieldPath, Stage, StageOutput, StageParameters


class GroupByParameters(StageParameters):
    """By which field, and what of each group goes on."""

    group_by_field: FieldPath = Field(
        "source_object_id", description="Dotted path of the field; documents of equal value are a group."
    )
    max_per_group: int = Field(
        10, ge=1, le=1000, description="Most documents of one group that go on, the best ones."
    )
    output_mode: GroupMode = Field(
        "all",
        description="first: the best document of each group; all: one row per group, with its documents; "
        "flatten: the documents, group after group.",
    )


class GroupBy(Stage[GroupByParameters]):
    """Collapse documents by the value of a field.

    Best scores first within a group, and groups by their best document; ties, and documents without a score,
    keep their order. Documents without the field are one group, with key null. A row holds `group_key`,
    `count` (all documents of the group) and `documents` (the best of them); it has the ids and the score of
    its first document.
    """

    stage_id: ClassVar[str] = "group_by"
    category: ClassVar[str] = "reduce"
    icon: ClassVar[str] = "group"
    Parameters = GroupByParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        path = self.parameters.group_by_field
        groups = group_documents(best_first(documents), [path])
        if groups and all(group.values == (None,) for group in groups):
            context.warn(f"group_by: no document has the field {path!r}, so all of them are one group")
        mode, most = self.parameters.output_mode, self.parameters.max_per_group
        collapsed = [each for group in groups for each in collapse(group, mode, most)]
        return StageOutput(collapsed, {"groups": len(groups)})

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return None
