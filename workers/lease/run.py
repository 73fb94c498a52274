"""An execution in the hands of this process: its lease, its unsent progress, and whether it must stop."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from redis.exceptions import RedisError

from shared.errors import Unavailable
from shared.logs import log_event
from shared.models.execution import Claim, StageEvent, StageEventType, Told
from shared.redis_sync import AWAY, Posted
from shared.stores.ledger import Ledger
from workers.lease.interruptible import Interruptible

log = logging.getLogger("kennel.worker")

# Makes (detail, figures) as they are when they are sent, maybe by the keeper's thread.
Snapshot = Callable[[], tuple[bytes, bytes]]

# What a crash may cost: work that took longer is kept between two stages.
CHECKPOINT_AFTER_S = 0.2
# Progress that was posted, and whose reply nobody has read yet, is written once more after this.
_CONFIRM_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a later attempt goes on with. The parts are made when they are written."""

    stage: str  # the last one that ended
    total: int  # documents that it left
    rows: Callable[[], bytes]  # the first of them, a JSON array
    state: Callable[[], bytes | None]  # None: too large, or no JSON
    kept: Callable[[], None]  # called when it was written


class Holder(Protocol):
    """What a run needs of the keeper that holds it."""

    ledger: Ledger
    progress_interval_s: float
    lease_s: float

    @property
    def grace_is_over(self) -> bool: ...

    def flush_at(self, at: float) -> None: ...

    def confirm(self, run: Run) -> None: ...


class Stop(Exception):
    """The execution must not go on in this process; the record is somebody else's to write."""


class ExecutionLost(Stop):
    """The lease is gone: another attempt runs it, or it has ended."""


class Cancelled(Stop):
    """It was cancelled while it ran; the record says so already."""


class RetryLater(Stop):
    """A stage met an error that may pass."""

    def __init__(
        self, reason: str, *, delay_ms: int, stages_completed: int, detail: bytes, figures: bytes
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay_ms = delay_ms
        self.stages_completed = stages_completed
        self.detail = detail
        self.figures = figures


class HandedBack(Stop):
    """The worker is stopping; the execution returns to the queue."""


class Run:
    """Made when a claim is taken; the keeper renews its lease until `finish` has been answered."""

    def __init__(self, claim: Claim, keeper: Holder) -> None:
        self.claim = claim
        self.lost = False
        self.cancelled = False
        self.ends_at = math.inf  # monotonic s; its run time is over then
        self.stage = ""  # the one that runs
        self.work = Interruptible()
        self._keeper = keeper
        self._lock = threading.Lock()
        self._number = 0
        self._telling = threading.Lock()
        self._unsent: tuple[str | None, int, Snapshot] | None = None
        self._latest: tuple[str | None, int, Snapshot] | None = None
        self._posted: list[Posted] = []  # whose replies are not known to have come
        self._events: list[tuple[StageEventType, Callable[[], bytes]]] = []
        self._made: list[StageEvent] = []  # the first of them, as they are sent
        self._events_sent = 0
        self._written_at = time.monotonic()  # the claim wrote the first stage
        self._closed = False
        self._sure_until = self._written_at + keeper.lease_s
        self._checkpoint: Checkpoint | None = None
        self._kept_at = self._written_at
        self.has_checkpoint = claim.epoch > 1  # an earlier attempt may have left one

    @property
    def is_sure(self) -> bool:
        """Nobody else can have been given the execution: its lease, by this machine's clock, is not over."""
        return time.monotonic() < self._sure_until

    def must_stop(self, now: float) -> bool:
        """Whether a look at `check`, or at its time, would end it."""
        return self.cancelled or self.lost or now > self.ends_at

    def renewed(self, asked_at: float) -> None:
        """A heartbeat that was sent at `asked_at` (monotonic s) has renewed the lease."""
        self._sure_until = asked_at + self._keeper.lease_s

    def check(self) -> None:
        """Raises Stop when this process must let go of the execution.

        A process that was frozen or cut off for as long as a lease asks first: it must not start a stage that
        another attempt has behind it.
        """
        if self.cancelled:
            raise Cancelled(self.claim.execution_id)
        if not self.is_sure:
            self._keeper.confirm(self)
        if self.lost:
            raise ExecutionLost(self.claim.execution_id)
        if self._keeper.grace_is_over:
            raise HandedBack(self.claim.execution_id)

    def publish(self, stage: str | None, stages_completed: int, snapshot: Snapshot) -> None:
        """Tell how far it is: the keeper sends it when the interval of the last write has passed.

        So progress is never later than the interval, even if the next stage takes long, and no stage waits
        for it. What `finish` overtakes is not sent at all. Without an interval every step is sent, at once,
        and no stage waits for the reply.
        """
        with self._telling:
            self._unsent = self._latest = (stage, stages_completed, snapshot)
        self._send_soon()

    def publish_again(self) -> None:
        """What was told last is not all any more: the snapshot says more now."""
        with self._telling:
            self._unsent = self._latest
        if self._latest is not None:
            self._send_soon()

    def _send_soon(self) -> None:
        if self._keeper.progress_interval_s:
            self._keeper.flush_at(self._written_at + self._keeper.progress_interval_s)
        else:
            self._post()
            self._keeper.flush_at(self._written_at + _CONFIRM_AFTER_S)

    def tell(self, event_type: StageEventType, members: Callable[[], bytes]) -> None:
        """For those who follow the execution: it goes with the next write, which this does not wait for.

        `members`, as StageEvent has them, are made by that write, maybe in the keeper's thread.
        """
        self._events.append((event_type, members))

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
        for event_type, members in self._events[len(self._made) :]:
            self._made.append(StageEvent(event_type, members()))
        return Told(self._events_sent, tuple(self._made))

    def _post(self) -> None:
        """Send the latest progress. Its events go with what is sent later, too, until one has a reply."""
        with self._lock:
            if self._unsent is None or self._closed:
                return
            self._read_replies()
            stage, stages_completed, snapshot = self._unsent
            self._number += 1
            self._written_at = time.monotonic()
            with contextlib.suppress(*AWAY):  # else the keeper sends it
                self._posted.append(
                    self._keeper.ledger.post_progress(
                        self.claim, self._number, stage, stages_completed, *snapshot(), self._told()
                    )
                )
                self._unsent = None

    def _read_replies(self) -> None:
        """Of what was posted, in their order, as far as they have come."""
        while self._posted and self._posted[0].reply is not None:
            self.lost |= self._posted.pop(0).reply == b"lost"

    def flush(self) -> None:
        """Send the latest progress, unless it is known to have arrived."""
        with self._lock:
            self._read_replies()
            unsent = self._latest if self._posted else self._unsent
            if unsent is None or self._closed:
                return
            stage, stages_completed, snapshot = unsent
            self._unsent = None
            self._posted.clear()  # this says all that they said
            self._number += 1
            self._written_at = time.monotonic()
            told = self._told()
            try:
                self.lost |= not self._keeper.ledger.progress(
                    self.claim, self._number, stage, stages_completed, *snapshot(), told
                )
                self._events_sent += len(told.events)
                del self._events[: len(told.events)], self._made[: len(told.events)]
            except (Unavailable, RedisError) as error:  # the next write has it all
                log_event(log, "progress.failed", level=logging.WARNING, error=str(error),
                          execution_id=self.claim.execution_id)  # fmt: skip

    def keep(self, checkpoint: Checkpoint) -> None:
        """A stage ended, and another follows: write where the run stands, at once or by the keeper.

        Short runs never write: what took less than `CHECKPOINT_AFTER_S` altogether is not worth it.
        """
        self._checkpoint = checkpoint
        due_at = self._kept_at + CHECKPOINT_AFTER_S
        if time.monotonic() >= due_at:
            self.save()
        else:
            self._keeper.flush_at(due_at)

    def save(self) -> None:
        """Write the latest checkpoint that is not written yet, if any."""
        with self._lock:
            if self._checkpoint is None or self._closed:
                return
            checkpoint, self._checkpoint = self._checkpoint, None
            self._kept_at = time.monotonic()
            state = checkpoint.state()
            if state is None:
                return
            try:
                self.lost |= not self._keeper.ledger.checkpoint(
                    self.claim, checkpoint.stage, checkpoint.total, checkpoint.rows(), state
                )
            except (Unavailable, RedisError) as error:  # a crash runs more again
                log_event(log, "checkpoint.failed", level=logging.WARNING, error=str(error),
                          execution_id=self.claim.execution_id)  # fmt: skip
                return
            self.has_checkpoint = True
        checkpoint.kept()

    def due_at(self) -> float | None:
        """When something must be written (monotonic s), or None."""
        due = []
        if (progress_at := self._progress_due_at()) is not None:
            due.append(progress_at)
        if self._checkpoint is not None:
            due.append(self._kept_at + CHECKPOINT_AFTER_S)
        return min(due, default=None)

    def write_due(self, now: float) -> None:
        """Whatever is due by then."""
        if self._checkpoint is not None and self._kept_at + CHECKPOINT_AFTER_S <= now:
            self.save()
        progress_at = self._progress_due_at()
        if progress_at is not None and progress_at <= now:
            self.flush()

    def _progress_due_at(self) -> float | None:
        if self._unsent is not None:
            return self._written_at + self._keeper.progress_interval_s
        return self._written_at + _CONFIRM_AFTER_S if self._posted else None

    def close(self) -> None:
        """Nothing is written after this: the outcome is about to be."""
        with self._lock:
            self._closed = True
            self._unsent = self._checkpoint = None
            self._posted.clear()
