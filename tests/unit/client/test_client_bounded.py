"""A few at a time, in threads: lazy, in order, bounded."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import NotConfigured
from client.bounded import CONCURRENCY_MAX, WINDOW_FACTOR, bounded_map


@given(st.lists(st.integers()), st.integers(1, 5))
def test_in_order_it_is_map(items: list[int], concurrency: int) -> None:
    assert list(bounded_map(str, items, concurrency=concurrency, ordered=True)) == list(map(str, items))


@given(st.lists(st.integers()), st.integers(1, 5))
def test_out_of_order_each_result_is_there_once(items: list[int], concurrency: int) -> None:
    results = bounded_map(abs, items, concurrency=concurrency, ordered=False)
    assert sorted(results) == sorted(map(abs, items))


@pytest.mark.parametrize("concurrency", [0, CONCURRENCY_MAX + 1])
def test_a_concurrency_out_of_range_is_refused_at_once(concurrency: int) -> None:
    with pytest.raises(NotConfigured, match=f"concurrency is {concurrency}"):
        bounded_map(str, [1], concurrency=concurrency, ordered=True)


@pytest.mark.parametrize("ordered", [True, False])
def test_no_more_than_a_window_is_taken_ahead(ordered: bool) -> None:
    taken: list[int] = []

    def endless() -> itertools.count[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    results = bounded_map(str, endless(), concurrency=2, ordered=ordered)
    for consumed in range(1, 50):
        next(results)
        assert len(taken) - consumed < 2 * WINDOW_FACTOR
    results.close()


def test_the_first_that_is_slow_holds_back_only_its_window() -> None:
    finish_first = threading.Event()

    def run(item: int) -> int:
        if item == 0:
            assert finish_first.wait(10)
        elif item == 2 * WINDOW_FACTOR - 1:
            finish_first.set()  # the whole window was run while the first one waited
        return item

    results = bounded_map(run, itertools.count(), concurrency=2, ordered=True)
    assert list(itertools.islice(results, 20)) == list(range(20))
    results.close()


def test_out_of_order_what_is_done_first_comes_first() -> None:
    may_end = threading.Event()

    def run(item: int) -> int:
        if item == 0:
            assert may_end.wait(10)
        return item

    results = bounded_map(run, range(2), concurrency=2, ordered=False)
    assert next(results) == 1
    may_end.set()
    assert list(results) == [0]


def test_exactly_so_many_run_at_a_time() -> None:
    together = threading.Barrier(4, timeout=10)
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def run(item: int) -> None:
        with lock:
            running.append(item)
            most.append(len(running))
        together.wait()  # passes only when four are here
        with lock:
            running.remove(item)

    list(bounded_map(run, range(16), concurrency=4, ordered=True))
    assert max(most) == 4


def test_an_exception_ends_it_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def run(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ZeroDivisionError
        return item

    results = bounded_map(run, itertools.count(), concurrency=1, ordered=True)
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert len(begun) <= 1 + WINDOW_FACTOR
