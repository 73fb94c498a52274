"""One figure of one group, fed value by value.

Nulls count nowhere. A list counts as its elements, except in count, first and last. Values are equal, and in
order, as in a sort: boolean < number < text < list < object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.documents.aggregation.plan import Function
from shared.errors import InvalidInput
from shared.filters.sort import ranked
from shared.filters.values import number

KEPT_VALUES_MAX = 1_000_000
# Every double is a multiple of 2**-1074, the least one: so sums of them are whole numbers.
_LEAST_BITS = 1_074


@dataclass(slots=True)
class Memory:
    """What all figures of an aggregation may keep together."""

    left: int = KEPT_VALUES_MAX

    def take(self) -> None:
        """Raises InvalidInput when nothing is left."""
        self.left -= 1
        if self.left < 0:
            raise InvalidInput(
                f"count_distinct, push and add_to_set would keep over {KEPT_VALUES_MAX:,} values; "
                "filter the documents, or use a field with fewer values"
            )


class RunningFigure(ABC):
    @abstractmethod
    def add(self, value: Any) -> None:
        """One value that is there and not null."""

    @abstractmethod
    def result(self) -> Any:
        """A value for JSON; None where nothing was added to compute it from.

        Raises:
            OverflowError: no double is that large.
        """


class _Count(RunningFigure):
    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Any) -> None:
        self._count += 1

    def result(self) -> int:
        return self._count


class _Sum(RunningFigure):
    """Exact, whatever the order: rounded once, at the end."""

    def __init__(self) -> None:
        self._count = 0
        self._integers = 0
        self._doubles: int | None = None  # in units of the least double; None: there were none

    def add(self, value: Any) -> None:
        for each in _elements(value):
            if isinstance(each, float):
                numerator, denominator = each.as_integer_ratio()
                scaled = numerator << (_LEAST_BITS + 1 - denominator.bit_length())
                self._doubles = (self._doubles or 0) + scaled
                self._count += 1
            elif isinstance(each, int) and not isinstance(each, bool):
                self._integers += each
                self._count += 1

    def result(self) -> int | float | None:
        if self._doubles is None:
            return number(self._integers)
        return self._scaled() / (1 << _LEAST_BITS)

    def _scaled(self) -> int:
        return (self._integers << _LEAST_BITS) + (self._doubles or 0)


class _Mean(_Sum):
    def result(self) -> float | None:
        return self._scaled() / (self._count << _LEAST_BITS) if self._count else None


class _Extreme(RunningFigure):
    def __init__(self, *, greatest: bool) -> None:
        self._greatest = greatest
        self._best: tuple[tuple[int, Any], Any] | None = None

    def add(self, value: Any) -> None:
        for each in _elements(value):
            rank = ranked(each)
            if self._best is None or (rank > self._best[0] if self._greatest else rank < self._best[0]):
                self._best = rank, each

    def result(self) -> Any:
        return self._best and self._best[1]


class _First(RunningFigure):
    def __init__(self) -> None:
        self._value: Any = None

    def add(self, value: Any) -> None:
        if self._value is None:
            self._value = value

    def result(self) -> Any:
        return self._value


class _Last(_First):
    def add(self, value: Any) -> None:
        self._value = value


class _Kept(RunningFigure):
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        for each in _elements(value):
            self._memory.take()
            self._values.append(each)

    def result(self) -> list[Any]:
        return self._values


class _Distinct(RunningFigure):
    """Each value once, where it came first."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._values: dict[tuple[int, Any], Any] = {}

    def add(self, value: Any) -> None:
        for each in _elements(value):
            key = ranked(each)
            if key not in self._values:
                self._memory.take()
                self._values[key] = each

    def result(self) -> Any:
        return list(self._values.values())


class _CountDistinct(_Distinct):
    def result(self) -> int:
        return len(self._values)


def _elements(value: Any) -> list[Any]:
    return [element for element in value if element is not None] if isinstance(value, list) else [value]


FIGURES: Mapping[Function, Callable[[Memory], RunningFigure]] = {
    "count": lambda _: _Count(),
    "count_distinct": _CountDistinct,
    "sum": lambda _: _Sum(),
    "avg": lambda _: _Mean(),
    "min": lambda _: _Extreme(greatest=False),
    "max": lambda _: _Extreme(greatest=True),
    "first": lambda _: _First(),
    "last": lambda _: _Last(),
    "push": _Kept,
    "add_to_set": _Distinct,
}
