"""One thread per process: renews leases, sends late progress, hands back when the worker stops.

It also ends by force what does not stop by itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.logs import log_event
from shared.settings import Settings
from shared.stores.ledger import Ledger
from workers.lease.force import Force
from workers.lease.run import Run
from workers.lease.stopping import StopFlag
from workers.meter import Meter

log = logging.getLogger("kennel.keeper")

_IDLE_TICK_S = 0.25  # how soon a stop is noticed
_LAST_CALL_S = 1.0  # after the grace: time for stages to notice before the process leaves
_HAND_BACK_PATIENCE_S = 1.0
_EXIT_FORCED = 70  # EX_SOFTWARE of sysexits.h; the pool starts another child
_CONFIRM_S = 120.0  # as long as claim and finish wait for Redis


class Keeper:
    """Leases of all runs of this process. Start it after the fork: threads do not survive one."""

    def __init__(self, ledger: Ledger, settings: Settings, stop: StopFlag, meter: Meter) -> None:
        self.ledger = ledger
        self._meter = meter
        self.progress_interval_s = settings.progress_interval_ms / 1000
        self.lease_s = settings.lease_ms / 1000
        self._heartbeat_s = settings.heartbeat_ms / 1000
        self._grace_s = settings.shutdown_grace_s
        self._stop = stop
        self._force = Force(ledger, meter, settings.cancel_grace_s, self._leave)
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._beating = threading.Lock()
        self._wake = threading.Event()
        self._turned = threading.Condition()  # notified after each turn of the loop
        self._flush_at = float("inf")
        self._next_heartbeat_at = 0.0
        self._thread = threading.Thread(target=self._loop, name="kennel-keeper", daemon=True)
        self._thread.start()

    @property
    def stopping(self) -> bool:
        """No new claims."""
        return self._stop.is_set()

    @property
    def grace_is_over(self) -> bool:
        return self._stop.is_set() and self._stop.age_s() > self._grace_s

    @property
    def stuck(self) -> int:
        """Stages that must stop and cannot be ended: each keeps a thread of this process."""
        return len(self._force.stuck)

    def hold(self, run: Run) -> None:
        with self._lock:
            self._runs[run.claim.execution_id] = run

    def let_go(self, run: Run) -> None:
        with self._lock:
            if self._runs.get(run.claim.execution_id) is run:
                del self._runs[run.claim.execution_id]

    def cancel(self, execution_id: str, epoch: int) -> None:
        """That attempt, if this process runs it, stops at its next check."""
        with self._lock:
            run = self._runs.get(execution_id)
        if run is not None and run.claim.epoch == epoch:
            run.cancelled = True

    def flush_at(self, at: float) -> None:
        """Wake in time to send progress that is due at `at` (monotonic s)."""
        if at < self._flush_at:
            self._flush_at = at
            self._wake.set()

    def hand_back(self, run: Run) -> None:
        """Return a run to the head of the queue, uncounted, with what its stages did so far."""
        run.save()
        run.flush()
        run.close()
        self.let_go(run)
        try:
            released = self.ledger.release(run.claim, patience_s=_HAND_BACK_PATIENCE_S)
        except (Unavailable, RedisError) as error:
            log_event(log, "execution.not_handed_back", level=logging.WARNING, error=str(error),
                      execution_id=run.claim.execution_id)  # fmt: skip
            return
        if released:
            log_event(
                log, "execution.handed_back", execution_id=run.claim.execution_id, attempt=run.claim.attempt
            )

    def _held(self) -> list[Run]:
        with self._lock:
            return list(self._runs.values())

    def _loop(self) -> None:
        while True:
            now = time.monotonic()
            if now >= self._next_heartbeat_at:
                self._next_heartbeat_at = now + self._heartbeat_s
                self.heartbeat(patience_s=self._heartbeat_s)
            if now >= self._flush_at:
                self._flush_due()
            self._force.look(self._held())
            if self._stop.is_set() and self._stop.age_s() > self._grace_s + _LAST_CALL_S:
                self._leave_what_is_stuck()
            with self._turned:
                self._turned.notify_all()
            wake_at = min(self._next_heartbeat_at, self._flush_at)
            self._wake.wait(max(0.0, min(_IDLE_TICK_S, wake_at - time.monotonic())))
            self._wake.clear()

    def confirm(self, run: Run) -> None:
        """Wait until a heartbeat tells whether a run is still this process's; it is lost when none does."""
        self._next_heartbeat_at = 0.0
        self._wake.set()
        with self._turned:
            is_known = self._turned.wait_for(
                lambda: run.lost or run.is_sure or self.grace_is_over, timeout=_CONFIRM_S
            )
        run.lost |= not is_known

    def heartbeat(self, *, patience_s: float) -> None:
        """Renew all leases and send what was measured. A process that ends calls it for what it has left."""
        with self._beating:
            self._beat(patience_s)

    def _beat(self, patience_s: float) -> None:
        runs = [run for run in self._held() if not run.lost]
        held = [(run.claim.execution_id, run.claim.epoch) for run in runs]
        asked_at = time.monotonic()
        try:
            lost = set(
                self.ledger.heartbeat(
                    held,
                    patience_s=patience_s,
                    stopping=self._stop.is_set(),
                    measurements=self._meter.to_send(),
                )
            )
            if stuck := self._force.stuck:
                self.ledger.tell_stuck(stuck, patience_s=patience_s)
        except (Unavailable, RedisError) as error:
            log_event(log, "heartbeat.failed", level=logging.WARNING, held=len(held), error=str(error))
            return
        self._meter.confirm()
        for run in runs:
            if run.claim.execution_id in lost:
                run.lost = True
            else:
                run.renewed(asked_at)

    def _flush_due(self) -> None:
        self._flush_at = float("inf")
        now = time.monotonic()
        for run in self._held():
            due_at = run.due_at()
            if due_at is None:
                continue
            if due_at > now:
                self.flush_at(due_at)
                continue
            run.write_due(now)
            if (later := run.due_at()) is not None:
                self.flush_at(later)

    def _leave_what_is_stuck(self) -> None:
        """Stages that did not notice the stop in time: hand back what they run, and go without them.

        A process that holds nothing ends by itself. The main process of a pool must: if it left first, its
        children would be killed before they had handed anything back.
        """
        held = self._held()
        for run in held:
            self.hand_back(run)
        if held or self._force.stuck:
            os._exit(0)

    def _leave(self) -> None:
        """End this process, in which nothing else runs; the sweep sees that it is gone."""
        self.heartbeat(patience_s=_LAST_CALL_S)
        os._exit(_EXIT_FORCED)
