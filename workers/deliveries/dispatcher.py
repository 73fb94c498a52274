"""The threads that send. They are the process's own: a slow receiver takes no thread from executions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from shared.clock import utc_now_iso
from shared.deliveries.schedule import next_delay_s
from shared.errors import KennelError
from shared.logs import log_event
from shared.models.channel import Channel
from shared.models.delivery import Attempt, TakenDelivery
from shared.settings import Settings
from shared.stores.delivery_queue import DeliveryQueue, Verdict
from workers.deliveries.answer import Answer

log = logging.getLogger("kennel.deliveries")

Send = Callable[[TakenDelivery, Channel], Answer]


class Dispatcher:
    """One per process; make it after the fork."""

    def __init__(
        self, queue: DeliveryQueue, send: Send, settings: Settings, is_stopping: Callable[[], bool]
    ) -> None:
        self._queue = queue
        self._send = send
        self._settings = settings
        self._is_stopping = is_stopping
        self._free = threading.BoundedSemaphore(settings.delivery_threads)

    def wake(self) -> None:
        """Send what is due, in one thread more; with all of them at work, they come to it by themselves."""
        if not self._is_stopping() and self._free.acquire(blocking=False):
            # A daemon, so that a receiver that answers late does not hold up a stop: its lease ends instead.
            threading.Thread(target=self._work, name="kennel-delivery", daemon=True).start()

    def _work(self) -> None:
        try:
            while not self._is_stopping() and (taken := self._queue.take()) is not None:
                self.deliver(taken)
        except (KennelError, RedisError) as error:  # what was taken becomes due again
            log_event(log, "deliveries.interrupted", level=logging.WARNING, error=str(error))
        finally:
            self._free.release()

    def deliver(self, taken: TakenDelivery) -> None:
        """One try, and what it means for the delivery. Raises KennelError or RedisError: Redis is away."""
        at, begun = utc_now_iso(), time.monotonic()
        channel = self._queue.channel(taken)
        if channel is None:
            answer = Answer("its webhook or alert is off or gone, or has lost this channel", is_final=True)
        else:
            answer = self._send(taken, channel)
        attempt = Attempt(
            attempted_at=at,
            duration_ms=round((time.monotonic() - begun) * 1000),
            status_code=answer.status_code,
            error=answer.error,
            response=answer.response,
        )
        verdict = self._verdict(taken, answer)
        delay_s = next_delay_s(taken.tries, self._settings.delivery_backoff_s, answer.retry_after_s)
        cause = answer.error if channel is not None and answer.error else ""
        self._queue.settle(taken, verdict, attempt, delay_s=delay_s, cause=cause)
        self._tell(taken, verdict, answer)
        if answer.is_gone:
            self._queue.pause(taken.lane.owner_id, "a receiver answered 410: it wants no more of these")

    def _verdict(self, taken: TakenDelivery, answer: Answer) -> Verdict:
        if answer.error is None:
            return "delivered"
        is_over = answer.is_final or answer.is_gone or taken.tries >= self._settings.delivery_attempts
        return "failed" if is_over else "pending"

    def _tell(self, taken: TakenDelivery, verdict: Verdict, answer: Answer) -> None:
        event = {
            "delivered": "delivery.delivered",
            "pending": "delivery.postponed",
            "failed": "delivery.failed",
        }
        log_event(
            log,
            event[verdict],
            level=logging.INFO if verdict == "delivered" else logging.WARNING,
            delivery_id=taken.delivery_id,
            event_type=taken.event_type,
            tries=taken.tries,
            error=answer.error,
        )
