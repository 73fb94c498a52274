"""What workers measure: names and buckets, and how they stand in the hash `kennel:metrics`.

Workers add up in memory and send the sums with a heartbeat (workers/meter.py); the API renders them for
Prometheus (api/services/operations/metrics.py). Names and units follow prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

# Upper bounds of the buckets (s); one more holds what is longer.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BEYOND = "inf"
_SUM = "sum_us"
_PARTS = (*(f"{bound:g}" for bound in BOUNDS_S), _BEYOND)


@dataclass(frozen=True, slots=True)
class Counter:
    name: str
    help: str
    label: str = ""  # name of its one label; '' = none

    def field(self, value: str = "") -> str:
        """Where its count stands, for a value of its label."""
        return f"{self.name}|{value}|"


@dataclass(frozen=True, slots=True)
class Histogram:
    name: str
    help: str
    label: str = ""

    def fields(self, seconds: float, value: str = "") -> tuple[str, str]:
        """Where one observation is added up: 1 in its bucket, its microseconds in the sum."""
        buckets, total = _fields(self.name, value)
        return buckets[bisect_left(BOUNDS_S, seconds)], total


@cache
def _fields(name: str, value: str) -> tuple[tuple[str, ...], str]:
    """One for each bucket, and the sum. Labels have few values, so this may grow."""
    return tuple(f"{name}|{value}|{part}" for part in _PARTS), f"{name}|{value}|{_SUM}"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram's observations for one value of its label."""

    buckets: tuple[int, ...]  # how many fell into each, not cumulated: len(BOUNDS_S) + 1
    sum_s: float


QUEUE_WAIT = Histogram(
    "kennel_queue_wait_seconds", "Time from when an execution became pending to its claim."
)
STAGE_TIME = Histogram("kennel_stage_seconds", "Run time of stages that ended, by stage id.", "stage")
EXECUTION_TIME = Histogram(
    "kennel_execution_seconds", "Run time over all attempts of executions that a worker ended.", "status"
)
STAGE_ERRORS = Counter("kennel_stage_errors", "Stages that ended in an error, by stage id.", "stage")
STALE_WRITES = Counter(
    "kennel_stale_writes_refused", "Outcomes of workers that no longer held the execution: not written."
)
STAGES_FORCED = Counter(
    "kennel_stages_forced",
    "Stages that went on although they had to stop: ended by an exception or with their process.",
    "by",
)
SWEEPS = Counter("kennel_sweeps", "Passes of the sweep.")
SWEPT_REQUEUED = Counter("kennel_sweep_requeued", "Executions of lost workers, put back by the sweep.")
SWEPT_FAILED = Counter("kennel_sweep_failed", "Executions that the sweep failed after the last attempt.")
SWEPT_SENT_AGAIN = Counter("kennel_sweep_sent_again", "Lost messages that the sweep sent again.")
SWEEPS_HELD = Counter("kennel_sweep_held", "Passes that ended no lease: nobody had swept for a while before.")

HISTOGRAMS = (QUEUE_WAIT, STAGE_TIME, EXECUTION_TIME)
COUNTERS = (
    *(STAGE_ERRORS, STALE_WRITES, STAGES_FORCED),
    *(SWEEPS, SWEPT_REQUEUED, SWEPT_FAILED, SWEPT_SENT_AGAIN, SWEEPS_HELD),
)


class Measured:
    """The fields of `kennel:metrics` as they are now."""

    def __init__(self, fields: Mapping[str, int]) -> None:
        self._fields = fields

    def counts(self, counter: Counter) -> dict[str, int]:
        """Count by value of its label; without a label by '', 0 when nothing was counted yet."""
        found = {value: self._fields[counter.field(value)] for value in self._values(counter.name)}
        return found or ({} if counter.label else {"": 0})

    def distributions(self, histogram: Histogram) -> dict[str, Distribution]:
        """Distribution by value of its label; without a label by '', empty when nothing was observed yet."""
        values = self._values(histogram.name) or ([] if histogram.label else [""])
        return {value: self._distribution(f"{histogram.name}|{value}|") for value in values}

    def _distribution(self, prefix: str) -> Distribution:
        buckets = tuple(self._fields.get(prefix + part, 0) for part in _PARTS)
        return Distribution(buckets, self._fields.get(prefix + _SUM, 0) / 1_000_000)

    def _values(self, name: str) -> list[str]:
        """Values of the label that were measured, in order."""
        return sorted(set(_label_values(self._fields, name)))


def _label_values(fields: Iterable[str], name: str) -> Iterable[str]:
    for field in fields:
        if field.startswith(f"{name}|"):
            yield field.removeprefix(f"{name}|").rpartition("|")[0]
