"""aggregate: figures about the documents, over all of them or by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import orjson
from pydantic import ConfigDict, Field, model_validator

from shared.errors import StageError
from shared.filters import SortKey, sort_documents
from shared.models.document import RESULT_MEMBERS, Document
from workers.context import StageContext
from workers.documents.columns import Column
from workers.documents.groups import Group, best_first, group_documents, row
from workers.documents.selection import METADATA_MAX_BYTES
from workers.stages.base import FieldPath, Stage, StageOutput, StageParameters

PERCENTILE = 50.0
TOP_K = 10

Function = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "first", "last", "collect", "collect_distinct",
    "percentile", "stddev", "variance", "frequency", "co_occurrence", "correlation",
]  # fmt: skip
# Parameters that only some functions take.
OF_TWO_FIELDS = ("co_occurrence", "correlation")
OF_PERCENT = ("percentile",)
OF_TOP = ("frequency", "co_occurrence")

# A name of a figure in a row: one part of a path, so that later stages can name it.
Alias = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^.]+$")]


def _is(functions: Collection[str]) -> dict[str, Any]:
    return {"properties": {"function": {"enum": list(functions)}}}


def _needs(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "string"}}}


def _only(name: str, *values: Any) -> dict[str, Any]:
    return {"properties": {name: {"enum": list(values)}}}


class Aggregation(StageParameters):
    """One figure. Nulls count nowhere; a list counts as its elements, except in count, first and last."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {"if": _is(["count"]), "else": _needs("field")},
                {"if": _is(OF_TWO_FIELDS), "then": _needs("field_b"), "else": _only("field_b", None)},
                {"if": _is(OF_PERCENT), "else": _only("percentile_value", None, PERCENTILE)},
                {"if": _is(OF_TOP), "else": _only("top_k", None, TOP_K)},
            ]
        }
    )

    function: Function = Field(
        description="What to compute. count: the documents, or those that have the field; first and last: by "
        "descending score; stddev and variance: of the population; frequency, co_occurrence: values, pairs "
        "of both fields in one document, the most frequent first; correlation: Pearson's. sum, avg, "
        "percentile, stddev, variance and correlation leave out what is no number."
    )
    field: FieldPath | None = Field(None, description="Dotted path of the field; only count can do without.")
    field_b: FieldPath | None = Field(
        None, description="Dotted path of the second field of co_occurrence and correlation."
    )
    percentile_value: float | None = Field(
        None, ge=0, le=100, description="Which percentile, linear between numbers; null = 50, the median."
    )
    top_k: int | None = Field(
        None, ge=1, le=100, description="Values of frequency, pairs of co_occurrence; null = 10."
    )
    alias: Alias = Field(description="Name of the figure in the row.")

    @model_validator(mode="after")
    def _fits_its_function(self) -> Self:
        function = self.function
        if self.field is None and function != "count":
            raise ValueError(f"{function} needs a field")
        if (self.field_b is not None) != (function in OF_TWO_FIELDS):
            raise ValueError("field_b is for co_occurrence and correlation, which need it, and for no other")
        if function not in OF_PERCENT and self.percentile_value not in (None, PERCENTILE):
            raise ValueError(f"percentile_value is for percentile, not for {function}")
        if function not in OF_TOP and self.top_k not in (None, TOP_K):
            raise ValueError(f"top_k is for frequency and co_occurrence, not for {function}")
        return self

    def column(self, documents: Sequence[Document]) -> Column:
        percent = PERCENTILE if self.percentile_value is None else self.percentile_value
        return Column(documents, self.field, self.field_b, percent, self.top_k or TOP_K)


class GroupField(StageParameters):
    """A field whose values make the groups."""

    field: FieldPath = Field(description="Dotted path of the field; documents without it are one group.")
    alias: Alias | None = Field(
        None, description="Name of the value in the row; null = the last part of the path."
    )

    @property
    def name(self) -> str:
        return self.alias or self.field.rpartition(".")[2]


class AggregateParameters(StageParameters):
    """Which figures, by which groups, and which rows are kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"group_by": {"type": "null"}}},
                    "then": {"properties": {"sort_by": {"type": "null"}, "limit": {"type": "null"}}},
                },
                {
                    "if": {"properties": {"sort_by": {"type": "null"}}},
                    "then": {"properties": {"sort_order": {"const": "desc"}}},
                },
            ]
        }
    )

    aggregations: Annotated[list[Aggregation], Field(min_length=1, max_length=100)] = Field(
        description="The figures of each row."
    )
    group_by: Annotated[list[GroupField], Field(min_length=1, max_length=10)] | None = Field(
        None, description="One row for each combination of values of these fields; null = one row for all."
    )
    sort_by: Alias | None = Field(
        None, description="Name to order the rows by, needs group_by; null = groups by their best document."
    )
    sort_order: Literal["asc", "desc"] = Field(
        "desc", description="Ascending or descending; rows without the value come last. Needs sort_by."
    )
    limit: int | None = Field(None, ge=1, le=1000, description="First rows that are kept; needs group_by.")
    include_documents: bool = Field(
        False, description="The documents go on instead of the rows, which then stand only in the metadata."
    )

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        names = [each.name for each in self.group_by or ()] + [each.alias for each in self.aggregations]
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"two columns are named {name!r}; give each an alias of its own")
            if name in RESULT_MEMBERS:
                raise ValueError(f"{name!r} is taken: every result has such a member; give it another alias")
        if self.sort_by is not None and self.sort_by not in names:
            raise ValueError(f"sort_by names {self.sort_by!r}, which is none of {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _only_groups_are_sorted(self) -> Self:
        if self.group_by is None and (self.sort_by is not None or self.limit is not None):
            raise ValueError("sort_by and limit need group_by: without it there is one row")
        if self.sort_by is None and self.sort_order != "desc":
            raise ValueError("sort_order needs sort_by, the name to order the rows by")
        return self


class Aggregate(Stage[AggregateParameters]):
    """Compute figures about the documents: counts, sums, means, percentiles, frequent values.

    The rows stand in the stage's metadata as `aggregations`, and go on in place of the documents, unless
    include_documents keeps those. A row has the ids and the score of the best document of its group. Values
    that a function of numbers left out are counted in `skipped_values`.
    """

    stage_id: ClassVar[str] = "aggregate"
    category: ClassVar[str] = "reduce"
    icon: ClassVar[str] = "sigma"
    Parameters = AggregateParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        skipped: Counter[str] = Counter()
        groups = self._groups(best_first(documents))
        figures = [self._figures(group, skipped, context.check) for group in groups]
        rows: list[Document] = []
        if documents:
            made = [row(group.documents[0], each) for group, each in zip(groups, figures, strict=True)]
            rows = self._first_in_order(made)
            figures = [each.attached for each in rows]
        metadata: dict[str, Any] = {"aggregations": figures}
        if any(skipped.values()):
            metadata["skipped_values"] = {alias: count for alias, count in skipped.items() if count}
        _refuse_oversized(metadata)
        return StageOutput(documents if self.parameters.include_documents else rows, metadata)

    def order(self, before: Sequence[SortKey] | None) -> Sequence[SortKey] | None:
        return before if self.parameters.include_documents else None

    def _groups(self, documents: list[Document]) -> list[Group]:
        """Without group_by, all documents are one group, even if there are none."""
        fields = self.parameters.group_by
        if fields is None:
            return [Group((), documents)]
        return group_documents(documents, [each.field for each in fields])

    def _figures(self, group: Group, skipped: Counter[str], check: Callable[[], None]) -> Mapping[str, Any]:
        """The row of a group; what its functions left out is added to `skipped`."""
        names = [each.name for each in self.parameters.group_by or ()]
        figures = dict(zip(names, group.values, strict=True))
        for aggregation in self.parameters.aggregations:
            check()
            column = aggregation.column(group.documents)
            figures[aggregation.alias] = column.figure(aggregation.function)
            skipped[aggregation.alias] += column.skipped(aggregation.function)
        return figures

    def _first_in_order(self, rows: list[Document]) -> list[Document]:
        parameters = self.parameters
        if parameters.sort_by is not None:
            rows = sort_documents(rows, [SortKey(parameters.sort_by, parameters.sort_order)])
        return rows[: parameters.limit]


def _refuse_oversized(metadata: Mapping[str, Any]) -> None:
    size_bytes = len(orjson.dumps(metadata))
    if size_bytes > METADATA_MAX_BYTES:
        raise StageError(
            f"the rows have {size_bytes:,} bytes, over the limit of {METADATA_MAX_BYTES:,}; "
            "set a limit, group by fewer values, or collect less"
        )
