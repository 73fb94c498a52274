"""The measures of search quality, on values that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import BenchError
from benchmarks.quality.judged import Judged
from benchmarks.quality.metrics import Quality, ndcg, quality_of, queries_of, recall

GRADED = {"best": 3, "good": 2, "fair": 1}
# Gains 7, 3 and 1 by discounts 1, log2(3) and 2.
IDEAL = 7 + 3 / math.log2(3) + 1 / 2


def test_the_ideal_order_has_an_ndcg_of_one() -> None:
    assert ndcg(["best", "good", "fair", "other"], GRADED, 10) == 1.0


def test_gain_is_exponential_and_discounted_by_rank() -> None:
    # 3 / log2(2) + 0 + 7 / log2(4) = 6.5
    assert ndcg(["good", "other", "best"], GRADED, 10) == pytest.approx(6.5 / IDEAL)
    assert pytest.approx(0.69202, abs=1e-5) == 6.5 / IDEAL


def test_what_is_below_the_depth_does_not_count() -> None:
    assert ndcg(["other", "best"], GRADED, 1) == 0.0
    # The ideal is cut, too: one place cannot hold three documents.
    assert ndcg(["best", "other"], GRADED, 1) == 1.0


def test_a_short_or_empty_ranking_misses_the_rest() -> None:
    assert ndcg(["best"], GRADED, 10) == pytest.approx(7 / IDEAL)
    assert ndcg([], GRADED, 10) == 0.0


def test_recall_is_the_share_of_relevant_documents() -> None:
    assert recall(["fair", "other", "best", "good"], GRADED, 3) == pytest.approx(2 / 3)
    assert recall(["fair", "other"], {"fair": 1, "other": 0}, 1) == 1.0


@pytest.mark.parametrize("relevance", [{}, {"a": 0}])
def test_without_a_relevant_document_there_is_no_measure(relevance: dict[str, int]) -> None:
    with pytest.raises(BenchError):
        ndcg(["a"], relevance, 10)
    with pytest.raises(BenchError):
        recall(["a"], relevance, 10)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12).filter(any), st.data())
def test_a_better_document_moved_up_never_lowers_ndcg(grades: list[int], data: st.DataObject) -> None:
    relevance = {str(number): grade for number, grade in enumerate(grades)}
    ranking = data.draw(st.permutations(list(relevance)))
    place = data.draw(st.integers(0, len(ranking) - 2))
    better_first = sorted(ranking[place : place + 2], key=lambda each: -relevance[each])
    improved = [*ranking[:place], *better_first, *ranking[place + 2 :]]
    before, after = ndcg(ranking, relevance, 10), ndcg(improved, relevance, 10)
    assert 0.0 <= before <= after + 1e-12
    assert after <= 1.0 + 1e-12


def test_quality_of_a_run_is_kept_by_query_and_averaged() -> None:
    judged = Judged([], {"1": "x", "2": "y", "4": "z"}, {"1": {"a": 1}, "2": {"a": 1}, "4": {"a": 1}})
    quality = quality_of("run", {"1": ["a"], "2": ["b", "b", "a"], "4": []}, judged)
    assert quality.ndcg == {"1": 1.0, "2": 0.5, "4": 0.0}
    assert quality.recall == {"1": 1.0, "2": 1.0, "4": 0.0}
    assert (quality.mean_ndcg(), quality.mean_ndcg("odd"), quality.mean_ndcg("even")) == (0.5, 1.0, 0.25)
    assert quality.mean_recall() == pytest.approx(2 / 3)
    half_as_good = Quality("other", {"1": 0.25, "2": 0.125, "4": 0.375}, {})
    assert (quality.ratio(half_as_good), quality.ratio(half_as_good, "even")) == (2.0, 1.0)


def test_chance_counts_how_often_random_signs_differ_as_much() -> None:
    baseline = Quality("baseline", {"1": 0.5, "2": 0.5, "3": 0.5}, {})
    assert baseline.chance(baseline) == 1.0
    # All three differ by 0.25: of the eight choices of signs two do as much.
    worse = Quality("worse", {"1": 0.25, "2": 0.25, "3": 0.25}, {})
    assert worse.chance(baseline) == pytest.approx(2 / 8, abs=0.02)
    # Twenty queries of one sign are no accident.
    many = {str(number): 0.5 for number in range(20)}
    better = Quality("better", dict.fromkeys(many, 0.75), {})
    assert better.chance(Quality("baseline", many, {})) < 0.001


def test_queries_are_parted_by_number() -> None:
    queries = ["1", "2", "10", "35"]
    assert queries_of(queries, "odd") == ["1", "35"]
    assert queries_of(queries, "even") == ["2", "10"]
    assert queries_of(queries, "all") == queries
