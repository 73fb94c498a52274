"""Ends by force what must stop and does not notice: stages that go on without `context.check()`."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from shared.errors import Unavailable
from shared.logs import log_event
from shared.metrics import STAGES_FORCED
from shared.stores.ledger import Ledger
from workers.lease.run import Run
from workers.meter import Meter

log = logging.getLogger("kennel.keeper")

_REACTION_S = 1.0  # what was interrupted and runs for longer is inside of a call that does not return


@dataclass(slots=True)
class _Overdue:
    """A run whose stage goes on although it must stop."""

    since: float  # monotonic s
    is_forced: bool = False
    is_stuck: bool = False


class Force:
    """Cancelled runs, lost ones and those out of time. Used by the keeper's thread, at each of its turns."""

    def __init__(self, ledger: Ledger, meter: Meter, grace_s: float, leave: Callable[[], None]) -> None:
        """`leave` ends this process."""
        self._ledger = ledger
        self._meter = meter
        self._grace_s = grace_s
        self._leave = leave
        self._overdue: dict[Run, _Overdue] = {}

    @property
    def stuck(self) -> list[str]:
        """Executions whose stages cannot be ended in this process: each of them keeps a thread."""
        return [run.claim.execution_id for run, overdue in self._overdue.items() if overdue.is_stuck]

    def look(self, held: Sequence[Run]) -> None:
        """`held` are the runs of this process; it remembers those that it has given up."""
        now = time.monotonic()
        self._overdue = {
            run: self._overdue.get(run) or _Overdue(now)
            for run in (*self._overdue, *held)
            if run.work.is_running and run.must_stop(now)
        }
        for run, overdue in self._overdue.items():
            age_s = now - overdue.since
            if not overdue.is_forced and age_s >= self._grace_s:
                overdue.is_forced = True
                self._end(run, age_s)
            elif not overdue.is_stuck and age_s >= self._grace_s + _REACTION_S:
                overdue.is_stuck = True
                self._give_up(run, age_s)

    def _end(self, run: Run, age_s: float) -> None:
        by = "process" if run.work.owns_process else "exception"
        self._meter.count(STAGES_FORCED, label=by)
        self._tell("stage.forced", run, age_s, by=by)
        if run.work.owns_process:
            self._leave()
        run.work.interrupt()

    def _give_up(self, run: Run, age_s: float) -> None:
        """Its thread is lost until the call returns. If its time is over, another attempt says so."""
        self._tell("stage.stuck", run, age_s)
        if not (run.cancelled or run.lost):
            with contextlib.suppress(Unavailable, redis.RedisError):  # then its lease ends all the same
                self._ledger.abandon(run.claim.execution_id, run.claim.epoch)
            run.lost = True

    def _tell(self, event: str, run: Run, age_s: float, **fields: str) -> None:
        log_event(
            log,
            event,
            level=logging.WARNING,
            execution_id=run.claim.execution_id,
            stage=run.stage,
            must_stop_for_s=round(age_s, 1),
            **fields,
        )
