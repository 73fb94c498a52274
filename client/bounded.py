"""A function over many items, a few at a time, in threads: lazy, and never more than a window in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

from client.errors import NotConfigured

CONCURRENCY = 16
CONCURRENCY_MAX = 128
# Items under way or waiting for an earlier one to be yielded, for each thread.
WINDOW_FACTOR = 4

T = TypeVar("T")
R = TypeVar("R")


def bounded_map(
    function: Callable[[T], R], items: Iterable[T], *, concurrency: int, ordered: bool
) -> Iterator[R]:
    """`function` of each item, in the order of the items or as they are done.

    Items are taken from the iterable only as results are consumed. An exception of `function` ends it; so
    does closing the iterator, after which calls under way are not waited for.

    Args:
        concurrency: Calls at a time, 1 to 128.

    Raises:
        NotConfigured: a concurrency out of range.
    """
    if not 1 <= concurrency <= CONCURRENCY_MAX:
        raise NotConfigured(f"concurrency is {concurrency}; use 1 to {CONCURRENCY_MAX}")
    return _results(_Threads(function, concurrency), enumerate(items), concurrency * WINDOW_FACTOR, ordered)


def _results(
    threads: _Threads[T, R], items: Iterator[tuple[int, T]], window: int, ordered: bool
) -> Iterator[R]:
    done: dict[int, R] = {}
    taken = yielded = 0
    try:
        while True:
            while taken - yielded < window and (item := next(items, None)) is not None:
                threads.give(item)
                taken += 1
            if yielded == taken:
                return
            index, result = threads.take()
            done[index if ordered else yielded] = result
            while yielded in done:
                yielded += 1
                yield done.pop(yielded - 1)
    finally:
        threads.stop()


class _Threads(Generic[T, R]):
    """Started as they are needed. Daemons: a process that ends does not wait for an answer that is held."""

    def __init__(self, function: Callable[[T], R], limit: int) -> None:
        self._function = function
        self._limit = limit
        self._started = 0
        self._is_stopped = False
        self._items: SimpleQueue[tuple[int, T] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, R] | BaseException] = SimpleQueue()

    def give(self, item: tuple[int, T]) -> None:
        self._items.put(item)
        if self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._run, name=f"kennel-{self._started}", daemon=True).start()

    def take(self) -> tuple[int, R]:
        """The next result that is ready; raises what the function raised."""
        result = self._results.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        """No item is begun any more."""
        self._is_stopped = True
        for _ in range(self._started):
            self._items.put(None)

    def _run(self) -> None:
        while (item := self._items.get()) is not None and not self._is_stopped:
            try:
                self._results.put((item[0], self._function(item[1])))
            except BaseException as error:  # raised again in the thread that consumes
                self._results.put(error)
