"""attribute_filter: keep the documents that satisfy conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from shared.filters import Filter, compile_predicate, parse_filter
from shared.models.document import Document
from workers.context import StageContext
from workers.documents.selection import Selection
from workers.stages.base import Stage, StageOutput, StageParameters

Operator = Literal[
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "starts_with", "ends_with", "regex",
    "exists", "is_null", "text", "phrase", "words", "geo_radius", "geo_bounding_box", "geo_polygon",
]  # fmt: skip


class AttributeFilterParameters(StageParameters):
    """One condition (`field`, `operator`, `value`) or a tree of them (`conditions`, which wins)."""

    field: str = Field("metadata.status", min_length=1, description="Dotted path of the field to test.")
    operator: Operator = Field("eq", description="How to compare the field with `value`.")
    value: Any = Field(
        None,
        description="What to compare with; a list for in and nin, a bool for exists and is_null, an area for"
        " geo_radius, geo_bounding_box and geo_polygon.",
    )
    conditions: dict[str, Any] | None = Field(
        None,
        description="A filter tree with AND, OR, NOT and conditions; wins over field, operator, value.",
        json_schema_extra={"x-filter": True, "x-filter-simple": ["field", "operator", "value"]},
    )
    case_insensitive: bool = Field(False, description="Ignore case where a condition does not say otherwise.")
    batch_size: int = Field(
        100, ge=1, le=1000, description="Documents tested between two cancellation checks."
    )
    natural_language: None = Field(None, description="Not available: needs a language model.")
    field_hints: None = Field(None, description="Not available: needs a language model.")


class AttributeFilter(Stage[AttributeFilterParameters]):
    """Keep the documents that satisfy conditions on their fields.

    As first stage, or beside a search, the engine does it before a document is read.
    """

    stage_id: ClassVar[str] = "attribute_filter"
    category: ClassVar[str] = "filter"
    icon: ClassVar[str] = "filter"
    Parameters = AttributeFilterParameters
    filter_parameters = ("conditions",)

    @classmethod
    def normalise(cls, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The simple form as a tree of one condition."""
        if parameters.get("conditions") is not None:
            return parameters
        single = {name: parameters[name] for name in ("field", "operator", "value") if name in parameters}
        defaults = {"field": AttributeFilterParameters.model_fields["field"].default}
        rest = {name: value for name, value in parameters.items() if name not in single}
        return {**rest, "conditions": {**defaults, "value": None, **single}}

    def refine(self, selection: Selection, context: StageContext) -> Selection | None:
        condition = self._condition()
        return selection if condition is None else selection.filtered(condition)

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        condition = self._condition()
        if condition is None:
            return StageOutput(documents)
        matches = compile_predicate(condition)
        kept: list[Document] = []
        for start in range(0, len(documents), self.parameters.batch_size):
            context.check()
            kept += [d for d in documents[start : start + self.parameters.batch_size] if matches(d)]
        return StageOutput(kept)

    def _condition(self) -> Filter | None:
        """Raises InvalidInput where a rendered value does not fit its operator."""
        parameters = self.parameters
        return parse_filter(
            parameters.conditions, loc=("conditions",), case_insensitive=parameters.case_insensitive
        )
