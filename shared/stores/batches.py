"""Batches as the API uses them. The ExecutionStore submits their lines; Lua moves their counters."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from shared import keys
from shared.errors import OutcomeUnknown
from shared.models.batch import UPLOAD_SILENCE_MS, Batch, BatchLine
from shared.models.execution import Status
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.executions import IdempotencyMismatch
from shared.stores.reads import reading

_LISTED_MAX = 10_000  # batches of a namespace


class BatchStore:
    def __init__(self, redis: RedisLink, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings

    async def begin(self, batch_id: str, namespace_id: str, idempotency_digest: str, body_digest: str) -> str:
        """Start an upload; '' = without an idempotency key. One round trip, repeatable.

        Returns:
            The batch's id: an earlier one when the key was used before.

        Raises:
            IdempotencyMismatch: it was used with another body digest.
        """
        settings = self._settings
        try:
            word, used_id = await self._redis.fcall(
                "begin_batch",
                batch_id,
                namespace_id,
                idempotency_digest,
                body_digest,
                settings.idempotency_ttl_s,
                settings.result_ttl_s,
                settings.summary_ttl_s,
                _LISTED_MAX,
                UPLOAD_SILENCE_MS,
            )
        except OutcomeUnknown as error:
            error.details["batch_id"] = batch_id
            raise
        if word == b"mismatch":
            raise IdempotencyMismatch
        return str(used_id.decode())

    async def end_upload(
        self, batch_id: str, *, complete: bool, lines: int, refused: int, refused_lines: bytes
    ) -> None:
        """Keep what the upload had; the batch ends now if nothing of it is open. One round trip."""
        await self._redis.fcall("end_upload", batch_id, int(complete), lines, refused, refused_lines)

    async def read(self, batch_id: str, watcher: str = "") -> Batch | None:
        """As it is now, in O(1); `watcher` is woken when it ends. One round trip."""
        with reading():
            found = await self._redis.fcall("read_batch", batch_id, watcher)
        return None if found is None else _batch(batch_id, found)

    async def page(
        self, namespace_id: str, *, below: int | None, offset: int, limit: int
    ) -> tuple[int, list[tuple[int, Batch]]]:
        """(total, [(sequence, batch)] newest first); `below` continues after a sequence. One round trip."""
        after = "" if below is None else below
        with reading():
            total, *rows = await self._redis.fcall("list_batches", namespace_id, after, offset, limit)
        return int(total), [(int(sequence), _batch(each.decode(), found)) for each, sequence, found in rows]

    async def lines(self, batch_id: str, first: int, count: int) -> list[BatchLine]:
        """The accepted ones of `count` lines from number `first` on, in order. One HMGET."""
        numbers = range(first, first + count)
        with reading():
            entries = await self._redis.execute("HMGET", keys.batch_lines(batch_id), *numbers)
        found = []
        for number, entry in zip(numbers, entries, strict=True):
            if entry is not None:
                execution_id, _, caller_id = entry.split(b" ", 2)
                found.append(BatchLine(number, execution_id.decode(), caller_id))
        return found

    async def cancel(self, batch_id: str, first: int, last: int, reason: str) -> tuple[int, int, int] | None:
        """Cancel lines `first` to `last`; new ones are refused from now on. One round trip, repeatable.

        Returns:
            (removed from the queue, stopping, already terminal), or None when there is no such batch.
        """
        settings = self._settings
        retention = (settings.result_ttl_s, settings.summary_ttl_s, settings.history_max)
        counts = await self._redis.fcall(
            "cancel_lines", batch_id, first, last, orjson.dumps(reason), *retention
        )
        return None if counts is None else (counts[0], counts[1], counts[2])


def _batch(batch_id: str, found: Sequence[bytes | None]) -> Batch:
    """What `read_batch` returns (shared/lua/batch.lua), in its order."""
    now, namespace, created, started, ended, uploading_until, cancelled, complete, *more = found
    lines, last_line, refused, refused_lines, mark_ms, mark, submitted, *counts, finished = more
    return Batch(
        batch_id=batch_id,
        namespace_id=(namespace or b"").decode(),
        now_ms=int(now or 0),
        created_ms=int(created or 0),
        started_ms=_number(started),
        ended_ms=_number(ended),
        cancelled_ms=_number(cancelled),
        uploading=int(uploading_until or 0) > int(now or 0),
        complete=complete == b"1",
        lines=int(lines or 0),
        refused=int(refused or 0),
        refused_lines=refused_lines or b"[]",
        last_line=int(last_line or 0),
        submitted=int(submitted or 0),
        finished=int(finished or 0),
        counts={status.value: int(count or 0) for status, count in zip(Status, counts, strict=True)},
        mark=(int(mark_ms), int(mark or 0)) if mark_ms else None,
    )


def _number(value: bytes | None) -> int | None:
    return int(value) if value else None
