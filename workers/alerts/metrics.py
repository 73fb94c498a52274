"""What system alerts watch: metrics of Kennel itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from shared import broker, keys
from shared.models.alert import SystemCondition
from shared.models.books import Books, reading_of
from shared.models.execution import Status
from shared.redis_sync import fcall, through_outage

_PATIENCE_S = 60.0
_ENDS_WELL = (Status.COMPLETED, Status.DEGRADED)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a look at a metric says. `mark` is where the next one goes on; "" = it needs nothing."""

    holds: bool
    measured: Mapping[str, Any]
    mark: str = ""


class SystemMetrics:
    """One per process; safe to share between threads. Raises Unavailable when Redis is away for long."""

    def __init__(self, client: redis.Redis, *, silence_ms: int) -> None:
        """`silence_ms`: workers that were silent for longer are not online."""
        self._client = client
        self._silence_ms = silence_ms

    def measure(self, alert_id: str, condition: SystemCondition, namespace_id: str) -> Measurement:
        """Look at the metric of the condition now. One or two round trips."""
        if condition.type == "task_queue_degraded":
            return self._queues(condition)
        return self._errors(alert_id, condition, namespace_id)

    def _queues(self, condition: SystemCondition) -> Measurement:
        """The longest wait in any queue of executions, and the workers there are."""
        now_ms, workers, _, _, *books = self._call("read_metrics", self._silence_ms, *broker.QUEUES)
        waits_s = [
            max(0.0, int(now_ms) / 1000 - queue.oldest_sequence / 1_000_000)
            for queue in reading_of(*books).queues
            if queue.oldest_sequence is not None
        ]
        longest_s = round(max(waits_s, default=0.0), 3)
        is_degraded = int(workers) == 0 or longest_s > condition.parameter("max_wait_seconds")
        return Measurement(is_degraded, {"longest_wait_seconds": longest_s, "workers_online": int(workers)})

    def _errors(self, alert_id: str, condition: SystemCondition, namespace_id: str) -> Measurement:
        """The share that failed of the namespace's executions that ended since the mark.

        Too few of them say nothing; then the next look counts from the same mark.
        """
        books = reading_of(*self._call("read_books", namespace_id, *broker.QUEUES)).books
        failed, ended = _ends(books)
        mark = orjson.dumps([failed, ended]).decode()
        old = through_outage(
            lambda: self._client.hget(keys.alert_state(alert_id), "mark"), patience_s=_PATIENCE_S
        )
        if old is None:
            return Measurement(False, {"failed": 0, "ended": 0}, mark)
        failed_then, ended_then = orjson.loads(old)
        new_failed, new_ended = failed - failed_then, ended - ended_then
        measured = {"failed": new_failed, "ended": new_ended}
        if new_ended < condition.parameter("min_count"):
            return Measurement(False, measured)
        is_high = new_failed / new_ended > condition.parameter("error_rate_threshold")
        return Measurement(is_high, measured, mark)

    def _call(self, function: str, *arguments: str | int) -> Any:
        return through_outage(lambda: fcall(self._client, function, *arguments), patience_s=_PATIENCE_S)


def _ends(books: Books) -> tuple[int, int]:
    """(failed, ended) ever; what was cancelled counts as neither."""
    failed = books.entered(Status.FAILED)
    return failed, failed + sum(books.entered(each) for each in _ENDS_WELL)
