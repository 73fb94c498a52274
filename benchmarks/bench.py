"""What a measurement is given: how much to do, both sides, started when first needed, a stopwatch."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Effort
from benchmarks.kennel_side import Kennel, kennel_running
from benchmarks.naive_side import Naive, naive_running

T = TypeVar("T")


class Bench:
    """One run. Leaving `stack` stops what was started; `directory` holds everything it writes."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path, effort: Effort) -> None:
        self.directory = directory
        self.effort = effort
        self._stack = stack

    @cached_property
    def kennel(self) -> Kennel:
        return self._stack.enter_context(kennel_running(self.directory / "kennel"))

    @cached_property
    def naive(self) -> Naive:
        return self._stack.enter_context(naive_running(self.directory / "naive"))


def in_turns(rounds: int, sides: Sequence[T]) -> Iterator[T]:
    """Every side once a round, in a new order each round, so that drifts of the machine hit all alike."""
    for _ in range(rounds):
        yield from random.sample(sides, len(sides))


class Timed:
    """An action, and how long it took each time by a clock that counts seconds."""

    def __init__(self, act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
        self.act = act
        self.taken_ms: list[float] = []
        self._clock = clock

    def take(self) -> None:
        began_s = self._clock()
        self.act()
        self.taken_ms.append((self._clock() - began_s) * 1000)
