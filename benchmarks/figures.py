"""What a measurement yields: rows of figures with their targets, and the arithmetic behind them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


class BenchError(Exception):
    """The measurement would be worthless; the message says why and what to look at."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach: `ratio` is Kennel over the baseline, `value` Kennel's own figure."""

    of: Literal["ratio", "value"]
    sign: Literal["≥", "≤"]
    limit: float

    def is_met(self, figure: float) -> bool:
        return figure >= self.limit if self.sign == "≥" else figure <= self.limit


def at_least(ratio: float) -> Target:
    return Target("ratio", "≥", ratio)


def at_most(ratio: float) -> Target:
    return Target("ratio", "≤", ratio)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure of each round, for Kennel and for what it is compared with."""

    group: str
    name: str
    unit: str
    kennel: Sequence[float] = ()
    baseline: Sequence[float] = ()
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Median over median; None where one side is missing or the baseline is zero."""
        if not self.kennel or not self.baseline:
            return None
        baseline = statistics.median(self.baseline)
        return statistics.median(self.kennel) / baseline if baseline else None

    @property
    def is_met(self) -> bool | None:
        """None without a target."""
        if self.target is None:
            return None
        figure = self.ratio if self.target.of == "ratio" else statistics.median(self.kennel)
        return figure is not None and self.target.is_met(figure)

    def as_json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "name": self.name,
            "unit": self.unit,
            "kennel": list(self.kennel),
            "baseline": list(self.baseline),
            "ratio": self.ratio,
            "target": f"{self.target.sign} {self.target.limit:g}" if self.target else None,
            "met": self.is_met,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` (0..1) of all do not exceed.

    Raises:
        BenchError: no values.
    """
    if not values:
        raise BenchError("no values to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def busy_share(sleeps: Sequence[tuple[float, float]], threads: int) -> float:
    """How much of the threads' time was spent in stages, 0..1.

    Args:
        sleeps: (began at, duration) of every stage run, s.

    Returns:
        All durations over threads x (last end - first start).
    """
    first_s = min(began_s for began_s, _ in sleeps)
    last_s = max(began_s + duration_s for began_s, duration_s in sleeps)
    return sum(duration_s for _, duration_s in sleeps) / (threads * (last_s - first_s))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int
    load_s: float  # each run of the load generator
    backlog: int  # executions of a backlog that takes about a millisecond each
    latency_runs: int
    sleepers: int  # executions of the busyness measurement
    documents: int
    repetitions: int  # of each query over them
    large_documents: int  # where only Kennel is measured
    ingested: int  # documents sent through the API
    history: int  # executions that have ended, of one retriever


FULL = Effort(3, 2.5, 1_500, 60, 400, 50_000, 25, 300_000, 10_000, 100_000)
QUICK = Effort(1, 1.0, 400, 15, 80, 5_000, 7, 20_000, 2_000, 20_000)
