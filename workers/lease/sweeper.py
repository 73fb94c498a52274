"""The thread of a worker's main process that looks for lost executions, every second."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from typing import Protocol

from redis.exceptions import RedisError

from shared import metrics
from shared.errors import KennelError
from shared.logs import log_event
from shared.settings import Settings
from shared.stores.ledger import Ledger, SweepReport
from workers.lease.identity import has_died
from workers.lease.stopping import StopFlag
from workers.meter import Meter

log = logging.getLogger("kennel.sweeper")

_ROUNDS_MAX = 1_000  # passes in a row; a full one handles 100 executions


class Sweep(Protocol):
    """What else is looked at every second. Raises KennelError or RedisError: Redis is away."""

    def sweep(self) -> object: ...


class Sweeper:
    """Sweeps until the worker stops. All workers sweep; the jitter spreads them."""

    def __init__(
        self,
        ledger: Ledger,
        others: Sequence[Sweep],
        settings: Settings,
        stop: StopFlag,
        meter: Meter,
    ) -> None:
        self._ledger = ledger
        self._meter = meter
        self._others = others
        self._period_s = settings.sweep_ms / 1000
        self._stop = stop
        self._away = False
        self._pause = threading.Event()
        threading.Thread(target=self._loop, name="kennel-sweeper", daemon=True).start()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._pause.wait(self._period_s * random.uniform(0.8, 1.2))
            try:
                self._sweep()
                for other in self._others:
                    other.sweep()
                self._away = False
            except (KennelError, RedisError) as error:
                if not self._away:
                    log_event(log, "sweep.failed", level=logging.WARNING, error=str(error))
                self._away = True

    def _sweep(self) -> None:
        for _ in range(_ROUNDS_MAX):
            report = self._ledger.sweep()
            self._measure(report)
            self._tell(report)
            self._abandon_dead(report)
            if not report.more:
                return

    def _abandon_dead(self, report: SweepReport) -> None:
        """A pool child that was killed, or this worker before its restart, will renew nothing."""
        for execution_id, epoch, process in report.held_by_worker:
            if has_died(process, self._ledger.worker) and self._ledger.abandon(execution_id, epoch):
                log_event(
                    log,
                    "execution.abandoned",
                    level=logging.WARNING,
                    execution_id=execution_id,
                    worker_process=process,
                )

    def _measure(self, report: SweepReport) -> None:
        for counter, count in (
            (metrics.SWEEPS, 1),
            (metrics.SWEPT_REQUEUED, report.requeued),
            (metrics.SWEPT_FAILED, report.failed),
            (metrics.SWEPT_SENT_AGAIN, report.sent_again),
            (metrics.SWEEPS_HELD, int(report.held)),
        ):
            self._meter.count(counter, count)

    def _tell(self, report: SweepReport) -> None:
        if report.requeued or report.failed or report.sent_again:
            log_event(
                log,
                "sweep.recovered",
                level=logging.WARNING,
                requeued=report.requeued,
                failed=report.failed,
                sent_again=report.sent_again,
            )
