"""The figures of `aggregate`: each function of what one or two fields hold in some documents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.errors import StageError
from shared.filters import field_value, is_number
from shared.models.document import Document
from workers.documents import statistics


@dataclass(frozen=True)
class Column:
    """What one function sees of the documents.

    Attributes:
        documents: best first.
        field: path of the field; None = the documents themselves, which only count can do with.
        field_b: path of the second field, for functions of two.
        percent: which percentile, 0..100.
        top_k: how many of the most frequent.
    """

    documents: Sequence[Document]
    field: str | None
    field_b: str | None
    percent: float
    top_k: int

    @cached_property
    def present(self) -> Sequence[Any]:
        """The field's value in each document that has one."""
        if self.field is None:
            return self.documents
        return [value for each in self.documents if (value := field_value(each, self.field)) is not None]

    @cached_property
    def values(self) -> list[Any]:
        """The same with lists as their elements."""
        return [element for value in self.present for element in _elements(value)]

    @cached_property
    def numbers(self) -> list[int | float]:
        return [value for value in self.values if is_number(value)]

    @cached_property
    def both(self) -> list[tuple[Any, Any]]:
        """The values of both fields in each document that has both."""
        left, right = str(self.field), str(self.field_b)
        pairs = ((field_value(each, left), field_value(each, right)) for each in self.documents)
        return [pair for pair in pairs if pair[0] is not None and pair[1] is not None]

    @cached_property
    def points(self) -> list[tuple[int | float, int | float]]:
        return [(left, right) for left, right in self.both if is_number(left) and is_number(right)]

    def pairs(self) -> Iterator[tuple[Any, Any]]:
        """Values that stand in one document: of two fields, or two different ones of the same field."""
        for left, right in self.both:
            if self.field == self.field_b:
                yield from statistics.pairs_within(_elements(left))
            else:
                yield from statistics.pairs_between(_elements(left), _elements(right))

    def figure(self, function: str) -> Any:
        """A value for JSON; None where there is nothing to compute it from.

        Raises:
            StageError: a number too large for a double, or too many pairs.
        """
        try:
            figure = FUNCTIONS[function](self)
        except OverflowError:
            figure = math.inf
        if isinstance(figure, float) and not math.isfinite(figure):
            raise StageError(f"{function} of {self.field!r} is too large for a number; leave out huge values")
        return figure

    def skipped(self, function: str) -> int:
        """How many values (of correlation: documents) the function left out because they are no numbers."""
        if function == "correlation":
            return len(self.both) - len(self.points)
        return len(self.values) - len(self.numbers) if function in OF_NUMBERS else 0


def _elements(value: Any) -> list[Any]:
    return [element for element in value if element is not None] if isinstance(value, list) else [value]


OF_NUMBERS = frozenset(("sum", "avg", "percentile", "stddev", "variance"))

FUNCTIONS: Mapping[str, Callable[[Column], Any]] = {
    "count": lambda column: len(column.present),
    "count_distinct": lambda column: len(statistics.distinct(column.values)),
    "sum": lambda column: statistics.total(column.numbers),
    "avg": lambda column: statistics.mean(column.numbers),
    "min": lambda column: statistics.least(column.values),
    "max": lambda column: statistics.greatest(column.values),
    "first": lambda column: column.present[0] if column.present else None,
    "last": lambda column: column.present[-1] if column.present else None,
    "collect": lambda column: column.values,
    "collect_distinct": lambda column: statistics.distinct(column.values),
    "percentile": lambda column: statistics.percentile(column.numbers, column.percent),
    "stddev": lambda column: statistics.standard_deviation(column.numbers),
    "variance": lambda column: statistics.variance(column.numbers),
    "frequency": lambda column: statistics.frequency(column.values, column.top_k),
    "co_occurrence": lambda column: statistics.co_occurrence(column.pairs(), column.top_k),
    "correlation": lambda column: statistics.correlation(column.points),
}
