"""sample: exact counts, order kept, the same sample again, and what strata give."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.document import Document
from tests.unit.workers.alone import Alone, documents_of, refused_when_rendered, refused_when_saved
from workers.stages.sample import Sample, allocate, draw, draw_in_one_pass

TWENTY = documents_of(range(20))
STRATIFIED = {"strategy": "stratified", "stratify_by": "value"}

strategies = st.sampled_from([{"strategy": "random"}, {"strategy": "reservoir"}, STRATIFIED])


@given(
    st.lists(st.sampled_from(["a", "b", None]), max_size=30),
    strategies,
    st.integers(1, 40),
    st.integers(0, 40),
    st.integers(),
)
def test_a_sample_is_an_ordered_part_of_exact_size(
    values: list[str | None], strategy: dict[str, Any], count: int, preserve: int, seed: int
) -> None:
    documents = documents_of(values)
    parameters = {**strategy, "count": count, "preserve_top_k": preserve, "seed": seed}
    ids = Alone(Sample).ids(documents, **parameters)
    assert ids == sorted(set(ids))  # the documents' ids ascend
    assert set(ids) <= {each.document_id for each in documents}
    assert len(ids) == min(max(count, preserve), len(documents))
    assert ids[: min(preserve, len(ids))] == [each.document_id for each in documents[:preserve]]
    assert Alone(Sample).ids(documents, **parameters) == ids


@pytest.mark.parametrize(
    ("strategy", "drawn"),
    [
        ({"strategy": "random"}, [2, 4, 7, 9, 18]),
        ({"strategy": "reservoir"}, [0, 3, 9, 14, 16]),
        (STRATIFIED, [3, 8, 14, 17, 18]),
    ],
)
def test_a_seed_gives_the_sample_that_it_has_always_given(strategy: dict[str, Any], drawn: list[int]) -> None:
    """Written down once, since another version of Python must draw the same."""
    documents = documents_of([number % 2 for number in range(20)])
    found = Alone(Sample).ids(documents, count=5, seed=42, **strategy)
    assert [int(each.removeprefix("doc_")) for each in found] == drawn


def test_another_process_draws_the_same() -> None:
    code = (
        "from random import Random; from workers.stages.sample import draw, draw_in_one_pass; "
        "print(draw(range(100), 5, Random('7')), draw_in_one_pass(range(100), 5, Random('7')))"
    )
    here = f"{draw(range(100), 5, Random('7'))} {draw_in_one_pass(range(100), 5, Random('7'))}"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_without_a_seed_an_execution_draws_its_own_sample_again_and_again() -> None:
    samples = {
        execution_id: tuple(Alone(Sample, execution_id=execution_id).ids(TWENTY))
        for execution_id in ("exec_1", "exec_2", "exec_3")
    }
    assert len(set(samples.values())) == 3
    assert tuple(Alone(Sample, execution_id="exec_2").ids(TWENTY)) == samples["exec_2"]


def test_seeds_of_both_signs_are_different_seeds() -> None:
    assert Alone(Sample).ids(TWENTY, seed=5) != Alone(Sample).ids(TWENTY, seed=-5)


@pytest.mark.parametrize("drawing", [draw, draw_in_one_pass])
def test_each_place_is_drawn_about_as_often(drawing: Any) -> None:
    """Binomial with n = 4,000 and p = 0.3, mean 1,200 and deviation 29: within six of them."""
    random, counts = Random("even"), Counter[int]()
    for _ in range(4000):
        counts.update(drawing(range(10), 3, random))
    assert sorted(counts) == list(range(10))
    assert all(abs(count - 1200) < 6 * 29 for count in counts.values())


sizes = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(sizes, st.data())
def test_shares_are_those_of_largest_remainders(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    shares = allocate(sizes, total, 0)
    quotas = [Fraction(total * size, sum(sizes)) for size in sizes]
    floors = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(sizes)), key=lambda at: (floors[at] - quotas[at], at))
    extra = set(by_remainder[: total - sum(floors)])
    assert shares == [floor + (at in extra) for at, floor in enumerate(floors)]


@given(sizes, st.integers(0, 5), st.data())
def test_no_stratum_gives_more_than_it_has_and_the_minimum_comes_first(
    sizes: list[int], minimum: int, data: st.DataObject
) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    shares = allocate(sizes, total, minimum)
    wanted = [min(minimum, size) for size in sizes]
    assert sum(shares) == total
    assert all(share <= size for share, size in zip(shares, sizes, strict=True))
    if total >= sum(wanted):
        assert all(share >= want for share, want in zip(shares, wanted, strict=True))
    else:
        assert all(share <= want for share, want in zip(shares, wanted, strict=True))


def test_where_the_minimum_does_not_fit_the_largest_strata_come_first() -> None:
    assert allocate([1, 5, 3, 2], 2, 1) == [0, 1, 1, 0]
    assert allocate([1, 5, 3, 2], 6, 2) == [1, 2, 2, 1]


def strata(documents: list[Document]) -> Counter[Any]:
    return Counter(each.payload["value"] for each in documents)


def test_strata_give_in_proportion() -> None:
    documents = documents_of(["a"] * 60 + ["b"] * 30 + [None] * 10)
    found = Alone(Sample).run(documents, count=10, **STRATIFIED).documents
    assert strata(found) == {"a": 6, "b": 3, None: 1}


def test_a_small_stratum_gives_its_minimum() -> None:
    documents = documents_of(["a"] * 97 + ["b"] * 3)
    alone = Alone(Sample)
    assert strata(alone.run(documents, count=10, **STRATIFIED).documents) == {"a": 9, "b": 1}
    found = alone.run(documents, count=10, min_per_stratum=0, **STRATIFIED).documents
    assert strata(found) == {"a": 10}
    found = alone.run(documents, count=10, min_per_stratum=5, **STRATIFIED).documents
    assert strata(found) == {"a": 7, "b": 3}
    assert alone.warnings == []


def test_a_minimum_that_does_not_fit_is_told() -> None:
    alone = Alone(Sample)
    assert len(alone.ids(documents_of(list("abcdef")), count=4, **STRATIFIED)) == 4
    assert alone.warnings == [
        "sample: 1 of each of 6 strata would be 6 documents, but only 4 are drawn; raise count"
    ]


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"strategy": "stratified"}, "stratify_by"),
        ({"strategy": "stratified", "stratify_by": None}, "stratify_by"),
        ({"strategy": "stratified", "stratify_by": "null"}, "stratify_by"),
        ({"stratify_by": "year"}, "stratify_by"),
        ({"strategy": "reservoir", "min_per_stratum": 2}, "min_per_stratum"),
    ],
)
def test_strata_belong_to_the_stratified_strategy(parameters: dict[str, Any], place: str) -> None:
    assert list(refused_when_saved(Sample, parameters)) == [place]
    if parameters.get("stratify_by") != "null":  # dropped when it was saved
        assert "stratif" in refused_when_rendered(Sample, parameters)


@pytest.mark.parametrize(("name", "value"), [("count", 0), ("count", 1001), ("preserve_top_k", -1)])
def test_what_is_out_of_range_is_refused(name: str, value: int) -> None:
    assert list(refused_when_saved(Sample, {name: value})) == [name]
    assert name in refused_when_rendered(Sample, {name: value})


def test_what_the_typed_client_sends_is_accepted() -> None:
    sent = {
        "count": 10,
        "strategy": "random",
        "stratify_by": "null",
        "min_per_stratum": 1,
        "preserve_top_k": 0,
    }
    assert refused_when_saved(Sample, sent) == {}
