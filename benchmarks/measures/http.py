"""Requests a second that one API process answers, submits and polls, and what one costs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.bench import Bench, in_turns
from benchmarks.figures import Row, Target, at_least
from benchmarks.load import Requests, run_load
from benchmarks.servers import Side, read_meters

_POLLED = 64
_WARM_UP_S = 0.5


@dataclass(slots=True)
class _Samples:
    """One figure of each round."""

    rate: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    round_trips: list[float] = field(default_factory=list)


def measure(bench: Bench) -> list[Row]:
    """Workers are stopped throughout."""
    sides: list[Side] = [bench.kennel, bench.naive]
    rows = _compare(bench, "submits", lambda side: side.submits(), at_least(3.5))
    ids = {id(side): side.begin(_POLLED) for side in sides}
    rows += _compare(bench, "polls, in progress", lambda side: side.polls(ids[id(side)]), at_least(5))
    for side in sides:
        side.finish(ids[id(side)])
    return rows + _compare(bench, "polls, finished", lambda side: side.polls(ids[id(side)]), at_least(4))


def _compare(bench: Bench, name: str, requests_of: Callable[[Side], Requests], target: Target) -> list[Row]:
    sides: list[Side] = [bench.kennel, bench.naive]
    samples = {id(side): _Samples() for side in sides}
    for side in sides:
        run_load(requests_of(side), seconds=_WARM_UP_S)
        side.drain()
    for side in in_turns(bench.effort.rounds, sides):
        _sample(side, requests_of(side), bench.effort.load_s, samples[id(side)])
        side.drain()
    kennel, naive = (samples[id(side)] for side in sides)
    group = f"{name}: one API process, 16 connections"
    return [
        Row(group, "rate", "1/s", kennel.rate, naive.rate, target),
        Row(group, "p50", "ms", kennel.p50_ms, naive.p50_ms),
        Row(group, "p99", "ms", kennel.p99_ms, naive.p99_ms),
        Row(group, "CPU of the API process", "µs", kennel.cpu_us, naive.cpu_us),
        Row(group, "Redis round trips", "each", kennel.round_trips, naive.round_trips),
    ]


def _sample(side: Side, requests: Requests, load_s: float, samples: _Samples) -> None:
    before = read_meters(side.api, side.redis)
    result = run_load(requests, seconds=load_s)
    used = read_meters(side.api, side.redis).since(before)
    samples.rate.append(result.rate)
    samples.p50_ms.append(result.p50_ms)
    samples.p99_ms.append(result.p99_ms)
    samples.cpu_us.append(used.cpu_s / result.responses * 1e6)
    samples.round_trips.append(used.round_trips / result.responses)
