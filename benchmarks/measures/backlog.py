"""Executions a second of a backlog: how fast one worker process is when there is always work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import Bench, in_turns
from benchmarks.figures import BenchError, Row, Target, at_least
from benchmarks.kennel_side import Kennel
from benchmarks.load import run_load
from benchmarks.naive_side import Naive
from benchmarks.processes import Process
from benchmarks.retrievers import Retriever
from benchmarks.servers import RedisServer, read_meters

DRAIN_S = 90.0
_SAMPLE_S = 0.01


@dataclass(slots=True)
class _Samples:
    """One figure of each round."""

    rate: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)
    round_trips: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Variant:
    """One way to work off a backlog; `drain` adds a round to its samples."""

    drain: Callable[[_Samples], None]
    samples: _Samples = field(default_factory=_Samples)


def measure(bench: Bench) -> list[Row]:
    count = bench.effort.backlog
    noop, search = bench.kennel.retrievers.noop, bench.kennel.retrievers.search
    kept = _kennel(bench.kennel, noop, count, progress_interval_ms=0)
    merged = _kennel(bench.kennel, noop, 2 * count)
    events = _kennel(bench.kennel, noop, count // 2, task_events=True)
    real = _kennel(bench.kennel, search, count // 2)
    with bench.naive.worker() as worker:
        raw = _naive(bench.naive, worker, bench.naive.hold_noops, count)
        staged = _naive(bench.naive, worker, bench.naive.hold_runs, count // 4)
        for variant in in_turns(bench.effort.rounds, [kept, merged, events, real, raw, staged]):
            variant.drain(variant.samples)
    return [
        *_rows("three no-op stages, every progress written / Celery no-op task", kept, raw, at_least(2)),
        *_rows("three no-op stages, progress within 20 ms / Celery no-op task", merged, raw, at_least(4)),
        *_rows("three no-op stages, task events on / Celery no-op task", events, raw),
        *_rows("search, filter and sort of 10 documents / Celery no-op task", real, raw),
        *_rows("three no-op stages, every progress written / naive three stages", kept, staged),
    ]


def _rows(group: str, kennel: _Variant, baseline: _Variant, target: Target | None = None) -> list[Row]:
    ours, theirs = kennel.samples, baseline.samples
    group = f"backlog: {group}"
    return [
        Row(group, "executions", "1/s", ours.rate, theirs.rate, target),
        Row(group, "CPU of the worker", "ms", ours.cpu_ms, theirs.cpu_ms),
        Row(group, "Redis commands, in scripts too", "each", ours.commands, theirs.commands),
        Row(group, "Redis round trips", "each", ours.round_trips, theirs.round_trips),
    ]


def _kennel(kennel: Kennel, retriever: Retriever, count: int, **changed: Any) -> _Variant:
    def drain(samples: _Samples) -> None:
        before = kennel.completed(retriever)
        run_load(kennel.submits(retriever), count=count)
        with kennel.worker(**changed) as worker:
            _meter_drain(
                lambda: before + count - kennel.completed(retriever), count, worker, kennel.redis, samples
            )

    return _Variant(drain)


def _naive(naive: Naive, worker: Process, hold: Callable[[int], None], count: int) -> _Variant:
    def drain(samples: _Samples) -> None:
        hold(count)
        naive.release()
        _meter_drain(naive.waiting, count, worker, naive.redis, samples)

    return _Variant(drain)


def wait_until_left(left: Callable[[], int], most: int, worker: Process) -> int:
    """Wait until at most so many executions are left; returns how often it asked.

    Raises:
        BenchError: the worker has ended, or it takes longer than DRAIN_S.
    """
    give_up_at_s = time.monotonic() + DRAIN_S
    questions = 1
    while (now_left := left()) > most:
        worker.check()
        if time.monotonic() > give_up_at_s:
            raise BenchError(f"{now_left} executions are left after {DRAIN_S:g} s; see {worker.log}")
        time.sleep(_SAMPLE_S)
        questions += 1
    return questions


def _meter_drain(
    left: Callable[[], int], count: int, worker: Process, server: RedisServer, samples: _Samples
) -> None:
    """Add the figures between the first completion that is seen and the last.

    Args:
        left: how many of `count` have not been completed; one round trip.
    """
    wait_until_left(left, count - 1, worker)
    begun, begun_at_s, left_then = read_meters(worker, server), time.monotonic(), left()
    questions = 2 + wait_until_left(left, 0, worker)
    seconds = time.monotonic() - begun_at_s
    used = read_meters(worker, server).since(begun)
    if left_then <= 0:
        raise BenchError(f"a backlog of {count} is too small to measure: it was gone within {_SAMPLE_S:g} s")
    samples.rate.append(left_then / seconds)
    samples.cpu_ms.append(used.cpu_s / left_then * 1000)
    samples.commands.append((used.commands - questions) / left_then)
    samples.round_trips.append((used.round_trips - questions) / left_then)
