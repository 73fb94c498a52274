"""A run whose lease may be over asks before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.workers.pipelines import claim
from workers.lease import run as run_module
from workers.lease.run import ExecutionLost, Run


class Keeper:
    """Is asked by a run whether it may go on."""

    ledger: Any = None
    progress_interval_s = 0.02
    lease_s = 10.0
    grace_is_over = False

    def __init__(self, answer: Callable[[Run], None]) -> None:
        self._answer = answer
        self.asked = 0

    def flush_at(self, at: float) -> None:
        pass

    def confirm(self, run: Run) -> None:
        self.asked += 1
        self._answer(run)


@pytest.fixture
def put_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time (monotonic s); it begins at 100."""
    now = [100.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    return lambda at: now.__setitem__(0, at)


def test_it_does_not_ask_while_its_lease_lasts(put_clock: Callable[[float], None]) -> None:
    keeper = Keeper(lambda run: None)
    run = Run(claim([]), keeper)
    put_clock(109.9)
    run.check()
    run.renewed(105.0)
    put_clock(114.9)
    run.check()
    assert keeper.asked == 0


def test_it_stops_when_it_has_lost_the_lease(put_clock: Callable[[float], None]) -> None:
    keeper = Keeper(lambda run: setattr(run, "lost", True))
    run = Run(claim([]), keeper)
    put_clock(110.0)
    with pytest.raises(ExecutionLost):
        run.check()
    assert keeper.asked == 1


def test_it_goes_on_when_the_lease_was_renewed(put_clock: Callable[[float], None]) -> None:
    keeper = Keeper(lambda run: run.renewed(110.0))
    run = Run(claim([]), keeper)
    put_clock(110.0)
    run.check()
    run.check()
    assert keeper.asked == 1
