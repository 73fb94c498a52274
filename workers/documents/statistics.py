"""Figures about lists of values: what `aggregate` computes, free of documents.

A value is what JSON holds, never null. Values are equal, and in order, as in a sort: boolean < number <
text < list < object.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from math import floor, fsum
from typing import Any

from shared.errors import StageError
from shared.filters import number, ranked

PAIRS_MAX = 1_000_000


def distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, where it came first."""
    first: dict[tuple[int, Any], Any] = {}
    for value in values:
        first.setdefault(ranked(value), value)
    return list(first.values())


def least(values: Sequence[Any]) -> Any:
    """None without values."""
    return min(values, key=ranked, default=None)


def greatest(values: Sequence[Any]) -> Any:
    """None without values."""
    return max(values, key=ranked, default=None)


def total(numbers: Sequence[int | float]) -> int | float:
    """An integer where all are; 0 without numbers.

    Raises:
        OverflowError: no double is that large.
    """
    if all(isinstance(each, int) for each in numbers):
        return number(sum(numbers))
    return fsum(numbers)


def mean(numbers: Sequence[int | float]) -> float | None:
    """None without numbers. Raises OverflowError like `total`."""
    return fsum(numbers) / len(numbers) if numbers else None


def variance(numbers: Sequence[int | float]) -> float | None:
    """Of the population, since the numbers are all there are: the mean squared distance from the mean.

    None without numbers. Raises OverflowError like `total`.
    """
    return float(statistics.pvariance(numbers)) if numbers else None


def standard_deviation(numbers: Sequence[int | float]) -> float | None:
    """The root of `variance`."""
    return statistics.pstdev(numbers) if numbers else None


def percentile(numbers: Sequence[int | float], percent: float) -> float | None:
    """Linear between the two nearest numbers: type 7 of Hyndman and Fan 1996, "Sample quantiles".

    None without numbers.
    """
    if not numbers:
        return None
    ordered = sorted(numbers)
    position = (len(ordered) - 1) * percent / 100
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def correlation(pairs: Sequence[tuple[int | float, int | float]]) -> float | None:
    """Pearson's r, -1..1; None for fewer than two pairs, and where one side is constant.

    Raises:
        OverflowError: a square on the way is too large for a double.
    """
    if len(pairs) < 2:
        return None
    left, right = zip(*pairs, strict=True)
    try:
        return statistics.correlation(left, right)
    except statistics.StatisticsError:
        return None
    except ValueError as error:  # the sum of two infinities
        raise OverflowError from error


def frequency(values: Iterable[Any], top_k: int) -> list[dict[str, Any]]:
    """The most frequent values as {value, count}; equal counts in the order of appearance."""
    shown: dict[tuple[int, Any], Any] = {}
    counts: Counter[tuple[int, Any]] = Counter()
    for value in values:
        key = ranked(value)
        shown.setdefault(key, value)
        counts[key] += 1
    return [{"value": shown[key], "count": count} for key, count in counts.most_common(top_k)]


def pairs_within(values: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """Every two different values, each pair once and in order."""
    return combinations(sorted(distinct(values), key=ranked), 2)


def pairs_between(left: Iterable[Any], right: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    """Every value of the left with every value of the right, each pair once."""
    return product(distinct(left), distinct(right))


def co_occurrence(pairs: Iterable[tuple[Any, Any]], top_k: int) -> list[dict[str, Any]]:
    """The most frequent pairs as {value, value_b, count}; equal counts in the order of appearance.

    Raises:
        StageError: more than a million pairs.
    """
    shown: dict[tuple[Any, Any], tuple[Any, Any]] = {}
    counts: Counter[tuple[Any, Any]] = Counter()
    for seen, (left, right) in enumerate(pairs):
        if seen == PAIRS_MAX:
            raise StageError(
                f"more than {PAIRS_MAX:,} pairs to count; choose fields with fewer values, or fewer documents"
            )
        key = ranked(left), ranked(right)
        shown.setdefault(key, (left, right))
        counts[key] += 1
    return [
        {"value": shown[key][0], "value_b": shown[key][1], "count": count}
        for key, count in counts.most_common(top_k)
    ]
