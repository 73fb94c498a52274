"""Evaluations of alerts as the API reads them: executions, with what they found and whom that was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.models.delivery import Attempt
from shared.models.webhook import CHANNELS_MAX
from shared.redis_link import RedisLink
from shared.redis_sync import text
from shared.stores.reads import reading

_CHUNK = 100  # evaluations in one call: each takes a look-up for every channel that an alert can have


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An evaluation whose record is still there. `line` is that of the history (JSON)."""

    namespace_id: str
    alert_id: str
    state: dict[str, Any]
    line: bytes
    finding: dict[str, Any] | None  # None: it has not ended well


@dataclass(frozen=True, slots=True)
class Told:
    """How one channel was told; `error` is of the last try, None when that went well or none was made."""

    channel: int
    status: str
    error: str | None


class AlertRunStore:
    def __init__(self, redis: RedisLink, *, summary_ttl_s: int) -> None:
        self._redis = redis
        self._summary_ttl_s = summary_ttl_s

    async def read(self, execution_id: str) -> StoredRun | None:
        """None when there is no record, or it evaluates no alert. One round trip."""
        with reading():
            reply = await self._redis.fcall("read_alert_run", execution_id)
        if reply is None:
            return None
        namespace, alert_id, state, line, finding = reply
        return StoredRun(
            text(namespace),
            text(alert_id),
            orjson.loads(b"{" + state[1:] + b"}"),
            line,
            orjson.loads(finding) if finding else None,
        )

    async def of_namespace(
        self, namespace_id: str, *, below: int | None, offset: int, limit: int
    ) -> tuple[int, list[tuple[int, bytes]]]:
        """As `ExecutionStore.history`, of all its alerts; at most the newest 10,000."""
        after = "" if below is None else below
        with reading():
            total, *flat = await self._redis.fcall(
                "list_alert_runs", namespace_id, after, offset, limit, self._summary_ttl_s
            )
        return int(total), [(int(flat[i]), flat[i + 1]) for i in range(0, len(flat), 2)]

    async def told(self, runs: Sequence[tuple[str, str]]) -> list[list[Told]]:
        """Of each (alert id, execution id), by channel; empty: it told nobody. A round trip for each 100."""
        found: list[list[Told]] = []
        for start in range(0, len(runs), _CHUNK):
            asked = [part for run in runs[start : start + _CHUNK] for part in run]
            with reading():
                found += map(_told, await self._redis.fcall("told_of", CHANNELS_MAX, *asked))
        return found


def _told(flat: Sequence[Any]) -> list[Told]:
    return [Told(int(flat[i]), text(flat[i + 1]), _error(flat[i + 2])) for i in range(0, len(flat), 3)]


def _error(attempt: bytes | None) -> str | None:
    return Attempt.model_validate_json(attempt).error if attempt else None
