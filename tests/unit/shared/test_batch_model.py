"""What follows from a batch's counters: its status, its rate, and how long the rest takes."""

from __future__ import annotations

from typing import Any

import pytest

from shared.models.batch import Batch
from shared.models.execution import Status


def batch(**over: Any) -> Batch:
    """A batch that began at 0 and is read at 60 s."""
    counts = {status: over.pop(status, 0) for status in Status}
    submitted = sum(counts.values())
    values: dict[str, Any] = {
        "batch_id": "batch_a",
        "namespace_id": "ns_1",
        "now_ms": 60_000,
        "created_ms": 0,
        "started_ms": 10_000,
        "ended_ms": None,
        "cancelled_ms": None,
        "uploading": False,
        "complete": True,
        "lines": submitted,
        "refused": 0,
        "refused_lines": b"[]",
        "last_line": submitted,
        "submitted": submitted,
        "finished": submitted - counts["pending"] - counts["processing"],
        "counts": counts,
        **over,
    }
    return Batch(**values)


@pytest.mark.parametrize(
    ("over", "status"),
    [
        ({"uploading": True}, "uploading"),
        ({"uploading": True, "pending": 1}, "uploading"),
        ({"pending": 1}, "running"),
        ({"processing": 1, "completed": 5}, "running"),
        ({"completed": 5, "ended_ms": 1}, "ended"),
        ({}, "ended"),
    ],
)
def test_status(over: dict[str, Any], status: str) -> None:
    assert batch(**over).status == status


def test_before_the_first_start_there_is_no_rate() -> None:
    waiting = batch(pending=10, started_ms=None)
    assert (waiting.rate_per_s(), waiting.eta_s()) == (0, None)


def test_at_first_the_rate_is_of_the_whole_run() -> None:
    running = batch(pending=60, processing=15, completed=100)
    assert (running.rate_per_s(), running.rate_is_recent, running.eta_s()) == (2, False, 37.5)


def test_later_the_rate_is_of_the_recent_past() -> None:
    running = batch(pending=75, completed=50, failed=50, mark=(45_000, 55))
    assert (running.rate_per_s(), running.rate_is_recent, running.eta_s()) == (3, True, 25)


def test_a_rate_fades_while_nothing_ends() -> None:
    stuck = batch(pending=10, completed=100, mark=(10_000, 100))
    assert (stuck.rate_per_s(), stuck.eta_s()) == (0, None)


def test_at_the_end_the_rate_is_of_the_whole_run() -> None:
    ended = batch(completed=100, mark=(25_000, 90), ended_ms=30_000)
    assert (ended.rate_per_s(), ended.rate_is_recent, ended.eta_s()) == (5, False, 0)


def test_no_time_at_all_is_no_division_by_zero() -> None:
    assert batch(completed=1, started_ms=60_000, ended_ms=60_000).rate_per_s() == 1_000
