"""Fusion of rankings: exact sums by hand, and what holds of every method."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.document import Document
from workers.search.fusion import Method, Ranking, fuse, merged_by_score


def ranking(scores: dict[str, float], weight: float = 1.0, collection_id: str = "col_1") -> Ranking:
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    documents = [Document(name, collection_id, b"{}", score=score) for name, score in ordered]
    return Ranking(documents, weight, lambda score: score / (score + 10))


def fused(method: Method, *rankings: Ranking) -> dict[str, float]:
    return {each.document_id: each.score or 0.0 for each in fuse(rankings, method)}


def test_by_reciprocal_rank_ties_go_by_id() -> None:
    assert fused("rrf", ranking({"b": 9, "d": 8}), ranking({"a": 1, "c": 0.5, "e": 0.2})) == {
        "a": round(1 / 61, 9), "b": round(1 / 61, 9), "c": round(1 / 62, 9), "d": round(1 / 62, 9),
        "e": round(1 / 63, 9),
    }  # fmt: skip
    assert list(fused("rrf", ranking({"b": 9}), ranking({"a": 1}))) == ["a", "b"]
    both = fused("rrf", ranking({"a": 2, "b": 1}, weight=0.25), ranking({"b": 0.9}, weight=0.75))
    assert both == {"b": round(0.25 / 62 + 0.75 / 61, 9), "a": round(0.25 / 61, 9)}


def test_weighted_scales_each_ranking_between_its_extremes() -> None:
    words, vectors = ranking({"a": 30, "b": 20, "c": 10}, 0.6), ranking({"c": 0.9, "b": 0.8}, 0.4)
    assert fused("weighted", words, vectors) == {"a": 0.6, "c": 0.4, "b": 0.3}
    assert fused("weighted", ranking({"a": 5, "b": 5}), ranking({"c": 1})) == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_dbsf_scales_by_mean_and_deviation() -> None:
    # mean 2, sigma 1: the range is -1 to 5
    assert fused("dbsf", ranking({"a": 3, "b": 1})) == {"a": round(4 / 6, 9), "b": round(2 / 6, 9)}
    assert fused("dbsf", ranking({"a": 3, "b": 3})) == {"a": 0.5, "b": 0.5}
    one_far_out = {"z": 100.0, **{f"a{n:02}": 0.0 for n in range(20)}}
    assert fused("dbsf", ranking(one_far_out))["z"] == 1.0


def test_max_takes_the_best_relevance() -> None:
    assert fused("max", ranking({"a": 10, "b": 30}), ranking({"a": 90}, 0.5)) == {"b": 0.75, "a": 0.5}


def test_namesakes_of_two_collections_stay_two() -> None:
    found = fuse([ranking({"x": 2}, collection_id="col_2"), ranking({"x": 1}, collection_id="col_1")], "rrf")
    assert [(each.document_id, each.collection_id) for each in found] == [("x", "col_1"), ("x", "col_2")]


def test_similarities_of_several_collections_are_merged_by_score() -> None:
    one, two = ranking({"a": 0.9, "b": 0.1}), ranking({"c": 0.5, "b": 0.1}, collection_id="col_0")
    merged = merged_by_score([one.documents, two.documents])
    assert [(each.document_id, each.collection_id) for each in merged] == [
        ("a", "col_1"), ("c", "col_0"), ("b", "col_0"), ("b", "col_1"),
    ]  # fmt: skip


SCORES = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 50), max_size=6)


@pytest.mark.parametrize("method", get_args(Method))
@given(first=SCORES, second=SCORES)
def test_every_method_keeps_every_document_once_and_in_order(
    method: Method, first: dict[str, float], second: dict[str, float]
) -> None:
    found = fuse([ranking(first), ranking(second)], method)
    assert sorted(each.document_id for each in found) == sorted(first | second)
    keys = [(-(each.score or 0.0), each.document_id) for each in found]
    assert keys == sorted(keys)
    again = fuse([ranking(second), ranking(first)], method)
    assert [(each.document_id, each.score) for each in again] == [
        (each.document_id, each.score) for each in found
    ]


@pytest.mark.parametrize("method", get_args(Method))
def test_nothing_found_is_nothing_fused(method: Method) -> None:
    assert fuse([], method) == fuse([ranking({})], method) == []
