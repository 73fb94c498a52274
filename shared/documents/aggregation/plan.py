"""What is to be computed, once the request is understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.documents.aggregation.dates import PartUnit, TruncUnit
from shared.documents.aggregation.ranges import Ranges
from shared.filters.paths import payload_parts

Function = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "first", "last", "push", "add_to_set"
]  # fmt: skip
Comparison = Literal["gt", "gte", "lt", "lte", "eq", "ne"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of each group, of a field's values; without a field (count only) of the documents."""

    function: Function
    field: str | None
    alias: str


@dataclass(frozen=True, slots=True)
class GroupField:
    """One value that makes the groups: that of a field, or what is derived from it.

    Attributes:
        keep: which values keep their JSON type; all others are shown, and equal, as text.
        date_trunc, date_part, ranges: at most one of them.
    """

    field: str
    alias: str
    keep: Literal["number", "boolean"] | None = None
    date_trunc: TruncUnit | None = None
    date_part: PartUnit | None = None
    ranges: Ranges | None = None


@dataclass(frozen=True, slots=True)
class Having:
    """A condition on a figure."""

    alias: str
    operator: Comparison
    value: Any


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Attributes:
        unwind: path of a list of which each element makes a document of its own.
        sort_by: alias of a figure or a group field; None = in the order in which groups come up.
    """

    figures: Sequence[Figure]
    groups: Sequence[GroupField] = ()
    having: Sequence[Having] = ()
    unwind: str | None = None
    sort_by: str | None = None
    descending: bool = True
    limit: int | None = None

    def top_fields(self) -> list[str]:
        """The fields at the root of a document that the figures need."""
        paths = [figure.field for figure in self.figures] + [group.field for group in self.groups]
        paths.append(self.unwind)
        return sorted({payload_parts(path)[0] for path in paths if path is not None})
