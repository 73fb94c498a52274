"""Figures about lists of values, against other ways to compute them."""

from __future__ import annotations

import statistics as reference
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import StageError
from workers.documents import statistics

numbers = st.lists(st.integers(-1000, 1000) | st.floats(-1e6, 1e6), min_size=1, max_size=20)
values = st.lists(st.sampled_from([1, 1.0, "1", "a", True, False, [1], {"a": 1}]), max_size=12)


@given(numbers)
def test_sums_and_deviations_agree_with_numpy(found: list[int | float]) -> None:
    assert statistics.total(found) == pytest.approx(np.sum(found), abs=1e-6)
    assert statistics.mean(found) == pytest.approx(np.mean(found), abs=1e-6)
    assert statistics.variance(found) == pytest.approx(np.var(found), rel=1e-6, abs=1e-6)
    assert statistics.standard_deviation(found) == pytest.approx(np.std(found), rel=1e-6, abs=1e-6)


@given(numbers, st.floats(0, 100))
def test_percentiles_are_those_of_type_seven(found: list[int | float], percent: float) -> None:
    assert statistics.percentile(found, percent) == pytest.approx(np.percentile(found, percent), abs=1e-6)


def test_percentiles_by_hand() -> None:
    assert statistics.percentile([4, 1, 3, 2], 50) == 2.5
    assert statistics.percentile([4, 1, 3, 2], 0) == 1
    assert statistics.percentile([4, 1, 3, 2], 100) == 4
    assert statistics.percentile([10, 20, 30], 25) == 15
    assert statistics.percentile([7], 99) == 7


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=12))
def test_correlation_agrees_with_the_library(pairs: list[tuple[int, int]]) -> None:
    left, right = [x for x, _ in pairs], [y for _, y in pairs]
    if len(set(left)) < 2 or len(set(right)) < 2:
        assert statistics.correlation(pairs) is None
    else:
        assert statistics.correlation(pairs) == pytest.approx(reference.correlation(left, right))


@given(st.lists(st.integers(), max_size=9))
def test_a_sum_of_integers_is_an_exact_integer_while_it_fits(found: list[int]) -> None:
    exact = sum(found)
    assert statistics.total(found) == (exact if -(2**63) <= exact < 2**63 else float(exact))


@given(values)
def test_distinct_values_and_frequencies_agree(found: list[Any]) -> None:
    distinct = statistics.distinct(found)
    frequencies = statistics.frequency(found, 100)
    assert sum(each["count"] for each in frequencies) == len(found)
    assert sorted(repr(each["value"]) for each in frequencies) == sorted(map(repr, distinct))
    counts = [each["count"] for each in frequencies]
    assert counts == sorted(counts, reverse=True)
    assert statistics.frequency(found, 2) == frequencies[:2]


def test_what_is_equal_and_what_is_not() -> None:
    assert statistics.distinct([1, 1.0, "1", True, [1], [1]]) == [1, "1", True, [1]]
    assert statistics.frequency(["b", "a", "a", "c", "b"], 2) == [
        {"value": "b", "count": 2}, {"value": "a", "count": 2},
    ]  # fmt: skip


def test_least_and_greatest_go_by_the_order_of_a_sort() -> None:
    found = ["2024-01-01", 7, "2023-12-31", True]
    assert (statistics.least(found), statistics.greatest(found)) == (True, "2024-01-01")


@pytest.mark.parametrize(
    "function",
    [
        statistics.mean, statistics.variance, statistics.standard_deviation, statistics.least,
        statistics.greatest, statistics.correlation, lambda none: statistics.percentile(none, 50),
    ],
)  # fmt: skip
def test_nothing_of_nothing(function: Any) -> None:
    assert function([]) is None
    assert statistics.total([]) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=20))
def test_pairs_are_counted(pairs: list[tuple[str, str]]) -> None:
    found = {(each["value"], each["value_b"]): each["count"] for each in statistics.co_occurrence(pairs, 100)}
    assert found == Counter(pairs)


def test_pairs_of_one_list_are_of_different_values_and_in_order() -> None:
    assert list(statistics.pairs_within(["b", "a", "b", "c"])) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert list(statistics.pairs_between(["b", "b"], ["x", "y", "x"])) == [("b", "x"), ("b", "y")]


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PAIRS_MAX", 2)
    pairs = [("a", "x")] * 3
    assert len(statistics.co_occurrence(pairs[:2], 10)) == 1
    with pytest.raises(StageError, match="more than 2 pairs"):
        statistics.co_occurrence(pairs, 10)
