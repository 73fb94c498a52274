"""Similarities: of documents with several vectors, and the laws that hold for all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.documents.similarity import FieldSimilarity, Numbers, VectorSimilarity, WeightedSimilarity

NONE = np.empty((0, 0))


def array(*vectors: Sequence[float]) -> Numbers:
    return np.array(vectors, dtype=np.float64)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("cosine", [1, 0, 0.8, 0]), ("dot", [25, 0, 4, 0]), ("euclidean", [1, 0, 1 / (1 + 18**0.5), 0])],
)
def test_the_two_most_similar_vectors_count(metric: str, expected: list[float]) -> None:
    """Of (0, 1) and (-1, -1) the first is more similar to (3, 4): cosine 4 / 5, distance √18."""
    similarity = VectorSimilarity([array([3, 4]), NONE, array([0, 1], [-1, -1]), NONE], metric)
    assert similarity.to(0).tolist() == pytest.approx(expected)
    assert similarity.to(1).tolist() == [0, 0, 0, 0]


vectors = st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), max_size=3)


@given(st.lists(vectors, min_size=1, max_size=5), st.sampled_from(["cosine", "dot", "euclidean"]))
def test_the_law_of_vectors(documents: list[list[list[int]]], metric: str) -> None:
    """The greatest over all pairs; the same from both sides; 0 without vectors."""
    if not any(documents):
        documents = [*documents, [[1, 1]]]
    similarity = VectorSimilarity([array(*each) if each else NONE for each in documents], metric)
    table = np.array([similarity.to(index) for index in range(len(documents))])
    assert table == pytest.approx(table.T)
    for left, mine in enumerate(documents):
        for right, theirs in enumerate(documents):
            pairs = [compare(metric, np.array(x), np.array(y)) for x in mine for y in theirs]
            assert table[left, right] == pytest.approx(max(pairs, default=0.0))


def compare(metric: str, left: Numbers, right: Numbers) -> float:
    if metric == "euclidean":
        return float(1 / (1 + np.sqrt(((left - right) ** 2).sum())))
    product = float(left @ right)
    lengths = float(np.sqrt((left @ left) * (right @ right)))
    return product if metric == "dot" else product / lengths if lengths else 0.0


values = (
    st.none()
    | st.sampled_from(["a", "b", 1, 1.0])
    | st.lists(st.sampled_from(["a", "b", 1, None]), max_size=3)
)


@given(st.lists(values, min_size=1, max_size=6))
def test_the_law_of_fields(found: list[Any]) -> None:
    """Jaccard's index of the sets of elements; 0 where there are none."""
    similarity = FieldSimilarity(found)
    sets = [
        {element for element in (value if isinstance(value, list) else [value]) if element is not None}
        for value in found
    ]
    for left, mine in enumerate(sets):
        expected = [len(mine & theirs) / len(mine | theirs) if mine | theirs else 0.0 for theirs in sets]
        assert similarity.to(left).tolist() == pytest.approx(expected)


def test_several_are_a_weighted_mean() -> None:
    same, other = FieldSimilarity(["x", "x"]), FieldSimilarity(["x", "y"])
    assert WeightedSimilarity([(same, 0.5), (other, 0.25)], 2).to(0).tolist() == pytest.approx([1, 2 / 3])
    assert WeightedSimilarity([], 2).to(0).tolist() == [0, 0]
