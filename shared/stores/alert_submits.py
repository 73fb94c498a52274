"""Runs of alerts as workers start them. Their ids follow from what they are about, so none is doubled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from shared.errors import LimitExceeded, NotFound, Unavailable
from shared.redis_sync import Argument, fcall, text, through_outage
from shared.settings import Settings
from shared.stores.executions import Submission, submit_arguments

_PATIENCE_S = 30.0
_DUE_MAX = 100


@dataclass(frozen=True, slots=True)
class DueAlert:
    """A member of what is due: an alert, at a collection or (`""`) by itself."""

    alert_id: str
    collection_id: str
    due_ms: int

    @property
    def member(self) -> str:
        return f"{self.alert_id}/{self.collection_id}" if self.collection_id else self.alert_id


class AlertSubmits:
    """One per process; safe to share between threads."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def submit(self, submission: Submission) -> None:
        """Start it, unless it was started before. One round trip.

        Raises:
            Unavailable: Redis is away, or the retriever was changed meanwhile: try again.
            LimitExceeded: the queue is full. NotFound: a collection that it searches is gone.
        """
        _check(self._call("submit", *submit_arguments(submission, self._settings)))

    def due(self) -> tuple[int, list[DueAlert]]:
        """(now, what is due), the longest overdue first, at most 100; times in ms by the clock of Redis."""
        now_ms, *flat = fcall(self._client, "due_alerts", _DUE_MAX)
        return int(now_ms), [_due(text(flat[i]), int(flat[i + 1])) for i in range(0, len(flat), 2)]

    def run_due(self, due: DueAlert, following_ms: int | None, submission: Submission | None) -> bool:
        """Start it and enter when it is due next (None: never), at once; False: another worker was faster.

        Raises:
            As `submit`; then it stays due, but for NotFound.
        """
        arguments = submit_arguments(submission, self._settings) if submission else []
        following = "" if following_ms is None else following_ms
        reply = self._call("run_due_alert", due.member, due.due_ms, following, *arguments)
        if text(reply[0]) == "taken":
            return False
        if submission:
            _check(reply)
        return True

    def _call(self, function: str, *arguments: Argument) -> Any:
        return through_outage(lambda: fcall(self._client, function, *arguments), patience_s=_PATIENCE_S)


def _check(reply: Any) -> None:
    match text(reply[0]):
        case "stale":
            raise Unavailable("the retriever of an alert is being changed")
        case "full" | "namespace_full":
            raise LimitExceeded("the queue of alerts is full", code="queue_full")
        case "no_collection":
            raise NotFound(f"collection {text(reply[1])!r}, which the retriever searches, no longer exists")


def _due(member: str, due_ms: int) -> DueAlert:
    alert_id, _, collection_id = member.partition("/")
    return DueAlert(alert_id, collection_id, due_ms)
