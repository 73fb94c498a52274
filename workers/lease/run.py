"""An execution in the hands of this process: its lease, its unsent progress, and whether it must stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.logs import log_event
from shared.models.execution import Claim, StageEvent, Told
from shared.stores.ledger import Ledger

log = logging.getLogger("kennel.worker")

# Makes (detail, figures) as they are when they are sent, maybe by the keeper's thread.
Snapshot = Callable[[], tuple[bytes, bytes]]


class Holder(Protocol):
    """What a run needs of the keeper that holds it."""

    ledger: Ledger
    progress_interval_s: float

    @property
    def grace_is_over(self) -> bool: ...

    def flush_at(self, at: float) -> None: ...


class Stop(Exception):
    """The execution must not go on in this process; the record is somebody else's to write."""


class ExecutionLost(Stop):
    """The lease is gone: another attempt runs it, or it has ended."""


class Cancelled(Stop):
    """It was cancelled while it ran; the record says so already."""


class HandedBack(Stop):
    """The worker is stopping; the execution returns to the queue."""


class Run:
    """Made when a claim is taken; the keeper renews its lease until `finish` has been answered."""

    def __init__(self, claim: Claim, keeper: Holder) -> None:
        self.claim = claim
        self.lost = False
        self.cancelled = False
        self._keeper = keeper
        self._lock = threading.Lock()
        self._number = 0
        self._unsent: tuple[str | None, int, Snapshot] | None = None
        self._events: list[StageEvent] = []
        self._events_sent = 0
        self._written_at = time.monotonic()  # the claim wrote the first stage
        self._closed = False

    def check(self) -> None:
        """Raises Stop when this process must let go of the execution."""
        if self.cancelled:
            raise Cancelled(self.claim.execution_id)
        if self.lost:
            raise ExecutionLost(self.claim.execution_id)
        if self._keeper.grace_is_over:
            raise HandedBack(self.claim.execution_id)

    def publish(self, stage: str | None, stages_completed: int, snapshot: Snapshot) -> None:
        """Tell how far it is: the keeper sends it when the interval of the last write has passed.

        So progress is never later than the interval, even if the next stage takes long, and no stage waits
        for it. What `finish` overtakes is not sent at all. Without an interval every step is sent, at once.
        """
        self._unsent = (stage, stages_completed, snapshot)
        if self._keeper.progress_interval_s:
            self._keeper.flush_at(self._written_at + self._keeper.progress_interval_s)
        else:
            self.flush()

    def tell(self, event: StageEvent) -> None:
        """For those who follow the execution: it goes with the next write."""
        with self._lock:
            self._events.append(event)

    def untold(self) -> Told:
        """What goes with the last write.

        Nothing of a run so short that its progress is not written either: who comes meanwhile sees its end.
        """
        with self._lock:
            lasted_s = time.monotonic() - self._written_at
            may_be_followed = self.claim.is_followed or self._number > 0
            if may_be_followed or lasted_s >= self._keeper.progress_interval_s:
                return self._told()
            return Told()

    def _told(self) -> Told:
        return Told(self._events_sent, tuple(self._events))

    def flush(self) -> None:
        """Send the latest unsent progress, if any."""
        with self._lock:
            if self._unsent is None or self._closed:
                return
            (stage, stages_completed, snapshot), self._unsent = self._unsent, None
            self._number += 1
            self._written_at = time.monotonic()
            told = self._told()
            try:
                self.lost |= not self._keeper.ledger.progress(
                    self.claim, self._number, stage, stages_completed, *snapshot(), told
                )
                self._events_sent += len(told.events)
                self._events.clear()
            except (Unavailable, RedisError) as error:  # the next write has it all
                log_event(log, "progress.failed", level=logging.WARNING, error=str(error),
                          execution_id=self.claim.execution_id)  # fmt: skip

    def due_at(self) -> float | None:
        """When the unsent progress must be out (monotonic s), or None."""
        return None if self._unsent is None else self._written_at + self._keeper.progress_interval_s

    def close(self) -> None:
        """No progress after this: the outcome is about to be written."""
        with self._lock:
            self._closed = True
            self._unsent = None
