"""Ranges of numbers: what makes a histogram of a field."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from shared.filters.values import number


@dataclass(frozen=True, slots=True)
class Ranges:
    """Between boundaries in ascending order; a number on a boundary is in the range below it.

    The first range holds both its ends. Numbers outside are in `<first` and `>last`, or all in `outside`.
    """

    boundaries: Sequence[int | float]
    outside: str | None = None

    def place(self, value: int | float) -> tuple[int, str]:
        """The position of the number's range among all, and its name."""
        bounds = self.boundaries
        if value < bounds[0]:
            return 0, self.outside or f"<{_shown(bounds[0])}"
        if value > bounds[-1]:
            return (0 if self.outside else len(bounds) + 1), self.outside or f">{_shown(bounds[-1])}"
        lower = max(bisect_left(bounds, value) - 1, 0)
        upper = min(lower + 1, len(bounds) - 1)
        return lower + 1, f"{_shown(bounds[lower])}-{_shown(bounds[upper])}"


def _shown(value: int | float) -> str:
    return str(number(value))
