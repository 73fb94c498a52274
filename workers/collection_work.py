"""Work that waits in the document engine, done collection by collection, and swept for what was forgotten."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from redis.exceptions import RedisError

from shared.documents import CollectionRef
from shared.errors import KennelError, NotFound, Unavailable
from shared.logs import log_event
from shared.stores.collection_work import WorkTurns

log = logging.getLogger("kennel.work")

# A task ends after this, so that Celery gets its thread back; it asks for another one if work is left.
_TASK_MAX_S = 1.0
_PAUSE_S = 0.01
_RETRY_MS = 2_000
_IDLE_MS = 5_000
_LOOK_EVERY_S = 15.0


class CollectionWorker(Protocol):
    """What does one kind of work. Both methods raise KennelError."""

    def do_batch(self, ref: CollectionRef) -> int | None:
        """How many pieces were done, 0 when none is due; None when another process is at it."""

    def is_left(self, ref: CollectionRef) -> bool:
        """Whether there is more to do, soon."""


def run_work(
    worker: CollectionWorker, turns: WorkTurns, ref: CollectionRef, is_stopping: Callable[[], bool]
) -> None:
    """The body of the Celery task: work for about a second, then let others have the thread."""
    try:
        try:
            _work_for_a_while(worker, turns, ref, is_stopping)
        except NotFound:
            turns.done(ref)
        except Unavailable as error:
            _tell(ref, error.message)
            turns.mark(ref, later_ms=_RETRY_MS)
        except KennelError as error:
            _tell(ref, error.message)
            turns.done(ref)
    except RedisError as error:  # the work is still in the outbox, where the sweep finds it
        _tell(ref, f"Redis is away: {error}")


def _work_for_a_while(
    worker: CollectionWorker, turns: WorkTurns, ref: CollectionRef, is_stopping: Callable[[], bool]
) -> None:
    ends_at = time.monotonic() + _TASK_MAX_S
    pause = threading.Event()
    count: int | None = 0
    while time.monotonic() < ends_at and not is_stopping():
        turns.mark(ref)
        count = worker.do_batch(ref)
        if count is None:
            pause.wait(_PAUSE_S)
        elif count == 0:
            turns.done(ref)
            if not worker.is_left(ref):  # something may have come between the last look and `done`
                return  # what is not due yet is the sweep's, and what is new wakes a worker
    if count is not None:
        turns.done(ref)
        turns.want(ref)
    # Else somebody else is at it. Should he stop before the end, the sweep finds that nobody renews the mark.


def _tell(ref: CollectionRef, error: str) -> None:
    log_event(log, "work.failed", level=logging.WARNING, error=error, collection_id=ref.collection_id)


class WorkSweep:
    """Finds work that nobody does: a lost message, or an API that died between its write and its word."""

    def __init__(self, find: Callable[[], Sequence[CollectionRef]], turns: WorkTurns) -> None:
        """`find` returns the collections that have work of this kind."""
        self._find = find
        self._turns = turns
        self._look_at = 0.0

    def sweep(self) -> None:
        """Called every second. One round trip; the collections themselves are looked at less often."""
        self._turns.sweep(_IDLE_MS)
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_EVERY_S
            for ref in self._find():
                self._turns.want(ref)
