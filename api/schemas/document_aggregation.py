"""Figures about documents: what a client asks and gets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictFloat, StrictInt, StrictStr, model_validator

from api.schemas.common import FieldPath, RequestModel
from shared.documents.aggregation.dates import PartUnit, TruncUnit
from shared.documents.aggregation.plan import Comparison, Function

DISTINCT_MAX = 10_000


def _finite(value: float) -> float:
    if value - value != 0:
        raise ValueError("must be finite")
    return value


Alias = Annotated[str, Field(min_length=1, max_length=255, description="Name in the answer's rows.")]
Boundary = Annotated[StrictInt | StrictFloat, AfterValidator(_finite)]


class AggregationOperation(RequestModel):
    """One figure. Nulls count nowhere; a list counts as its elements, except in count, first and last."""

    function: Function
    field: FieldPath | None = None
    alias: Alias
    distinct_field: Annotated[
        FieldPath | None, Field(description="For count_distinct: counted in place of `field`.")
    ] = None

    @model_validator(mode="after")
    def _has_its_field(self) -> AggregationOperation:
        if self.distinct_field is not None and self.function != "count_distinct":
            raise ValueError(f"distinct_field is for count_distinct, not for {self.function}; use field")
        if self.function != "count" and self.counted() is None:
            raise ValueError(f"{self.function} needs a field")
        return self

    def counted(self) -> str | None:
        return self.distinct_field or self.field


class AggregationGroup(RequestModel):
    field: FieldPath
    alias: Annotated[Alias | None, Field(description="The path of the field when left out.")] = None
    date_trunc: Annotated[
        TruncUnit | None, Field(description="Group dates by where this unit begins, in UTC.")
    ] = None
    date_part: Annotated[PartUnit | None, Field(description="Group dates by this part of them, in UTC.")] = (
        None
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> AggregationGroup:
        if self.date_trunc is not None and self.date_part is not None:
            raise ValueError("date_trunc and date_part cannot go together; group by the field twice")
        return self

    def name(self) -> str:
        return self.alias or self.field


class RangeBucket(RequestModel):
    """Ranges of a numeric field in place of its values; a group field of its own unless group_by names it."""

    field: FieldPath
    boundaries: Annotated[
        list[Boundary],
        Field(min_length=1, max_length=1_000, description="Ascending; each belongs to the range below it."),
    ]
    default_bucket: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="Of numbers outside; `<first` and `>last` if null."),
    ] = None

    @model_validator(mode="after")
    def _ascends(self) -> RangeBucket:
        if not all(low < high for low, high in pairwise(self.boundaries)):
            raise ValueError("boundaries must ascend, each greater than the one before")
        return self


class HavingCondition(RequestModel):
    field: Annotated[str, Field(description="Alias of a figure.")]
    operator: Comparison
    value: StrictInt | Boundary | StrictStr


class AggregationRequest(RequestModel):
    aggregations: Annotated[list[AggregationOperation], Field(min_length=1, max_length=100)]
    group_by: Annotated[
        list[AggregationGroup] | None,
        Field(max_length=10, description="May be left out only when every function is count."),
    ] = None
    filters: Annotated[dict[str, Any] | None, Field(description="Which documents; a filter tree.")] = None
    having: Annotated[list[HavingCondition] | None, Field(max_length=100)] = None
    unwind: Annotated[
        FieldPath | None, Field(description="A list of which each element makes a document of its own.")
    ] = None
    range_buckets: Annotated[list[RangeBucket] | None, Field(max_length=10)] = None
    sort_by: Annotated[str | None, Field(description="Alias of a figure or of a group field.")] = None
    sort_direction: Literal["asc", "desc"] = "desc"
    limit: Annotated[StrictInt | None, Field(ge=1, description="Rows to return, after sorting.")] = None

    def group_names(self) -> list[str]:
        named = {group.field for group in self.group_by or ()}
        extra = [bucket.field for bucket in self.range_buckets or () if bucket.field not in named]
        return [group.name() for group in self.group_by or ()] + extra

    @model_validator(mode="after")
    def _has_groups(self) -> AggregationRequest:
        only_counts = all(each.function == "count" for each in self.aggregations)
        if not self.group_names() and not only_counts:
            raise ValueError("group_by may be left out only when every function is count")
        return self

    @model_validator(mode="after")
    def _names_are_clear(self) -> AggregationRequest:
        figures = [each.alias for each in self.aggregations]
        names = [*self.group_names(), *figures]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"two columns are named {twice[0]!r}; give each an alias of its own")
        if self.sort_by is not None and self.sort_by not in names:
            raise ValueError(f"sort_by names {self.sort_by!r}, which is none of {', '.join(names)}")
        unknown = [each.field for each in self.having or () if each.field not in figures]
        if unknown:
            raise ValueError(f"having names {unknown[0]!r}, which is none of {', '.join(figures)}")
        return self

    @model_validator(mode="after")
    def _ranges_fit(self) -> AggregationRequest:
        fields = Counter(bucket.field for bucket in self.range_buckets or ())
        for group in self.group_by or ():
            if group.field in fields and (group.date_trunc or group.date_part):
                raise ValueError(f"{group.field!r} cannot be grouped as a date and by ranges")
        twice = [field for field, count in fields.items() if count > 1]
        if twice:
            raise ValueError(f"range_buckets name {twice[0]!r} twice; join their boundaries")
        return self


class AggregationRow(BaseModel):
    """Values of a group are text, but numbers and booleans under a payload index of such a type."""

    group: dict[str, Any]
    metrics: dict[str, Any]


class AggregationAnswer(BaseModel):
    """`query_info`: the documents that passed the filters, and the groups before `limit`."""

    results: list[AggregationRow]
    total_groups: Annotated[int, Field(description="Of this answer: the number of its rows.")]
    query_info: dict[str, Any]


class DistinctRequest(RequestModel):
    field: FieldPath
    filters: dict[str, Any] | None = None
    limit: Annotated[StrictInt | None, Field(ge=1, le=DISTINCT_MAX, description="10,000 when left out.")] = (
        None
    )


class DistinctValue(BaseModel):
    value: Any
    count: int


class DistinctAnswer(BaseModel):
    """The most frequent values first. `query_info` says so when there are more than 10,000."""

    field: str
    values: list[DistinctValue]
    total_distinct: Annotated[int, Field(description="Of this answer: the number of its values.")]
    query_info: dict[str, Any] | None
