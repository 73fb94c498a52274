"""The execution record as the API uses it: submit, read, watch, cancel, list. Workers: stores/ledger.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from shared import broker, keys, result_chunks
from shared.errors import Conflict, Gone, LimitExceeded, NotFound, OutcomeUnknown
from shared.models.batch import UPLOAD_SILENCE_MS, BatchPlace
from shared.models.execution import TERMINAL, Priority, StageProfile, Status, profile_from
from shared.packing import packed, unpacked
from shared.redis_link import Argument, RedisLink
from shared.settings import Settings
from shared.stores.reads import reading

PARKED_FROM = 2 * 10**15  # sequence numbers from here on are of parked ones: shared/lua/queue.lua
_READ_FIELDS = ("rev", "namespace", "retriever", "status", "head", "state", "detail", "queue", "seq")


@dataclass(slots=True)
class Submission:
    """Everything a new execution is stored with; the JSON parts are ready bytes."""

    execution_id: str
    namespace_id: str
    retriever_id: str
    version: int
    request: bytes
    head: bytes
    detail: bytes
    first_stage: bytes  # JSON string
    shadow: bytes  # inside of a JSON string: what Flower shows as the task's name
    figures: bytes
    about: bytes
    collection_ids: Sequence[str]
    watcher: str = ""
    definition: bytes = b""  # ad-hoc only
    stream: bool = False  # keep its events from the beginning
    alert_id: str = ""  # what it evaluates
    alert: bytes = b""  # an AlertRun
    idempotency_digest: str = ""
    body_digest: str = ""
    place: BatchPlace | None = None  # the batch that it is a line of
    priority: Priority = "normal"


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """A record as it is now. Its answer is head + state + detail."""

    execution_id: str
    revision: int
    namespace_id: str
    retriever_id: str
    status: str
    head: bytes
    state: bytes
    detail: bytes
    queue: str = ""  # where it waits, or waited last; "" once it has ended
    sequence: int = 0  # its place there: those with a lower number are in front
    queue_position: int | None = None  # pending: 1 = next; None = nobody has asked

    @property
    def is_parked(self) -> bool:
        """It waits for others of its namespace, and has no message yet."""
        return self.sequence >= PARKED_FROM

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a cancel found and did. The record is terminal, whatever the outcome."""

    status: str
    outcome: Literal["removed_from_queue", "stopping", "already_terminal"]
    stops_after: str | None = None  # stopping: the stage that its worker is in


@dataclass(frozen=True, slots=True)
class Extension:
    """What an extend did. `is_new` is false where it is kept as long as that already."""

    revision: int
    status: str
    expires_at: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Glance:
    """A record in short: what is seen of it, without its result."""

    execution_id: str
    revision: int
    namespace_id: str
    retriever_id: str
    status: str
    state: bytes
    queue_position: int | None
    sequence: int = 0

    @property
    def is_parked(self) -> bool:
        return self.sequence >= PARKED_FROM

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL


class StaleRetriever(Exception):
    """The retriever changed or went away since it was looked up; ad-hoc: the namespace went away."""


class IdempotencyMismatch(Exception):
    """The idempotency key was used with another body."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The idempotency key was used with this body; the execution it made."""

    execution_id: str


class ExecutionStore:
    def __init__(self, redis: RedisLink, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings

    async def submit(self, submission: Submission) -> StoredExecution | Replayed:
        """Store it and put its message in the queue: one atomic call, one round trip.

        Raises:
            StaleRetriever, IdempotencyMismatch: see there.
            NotFound: a collection is gone. LimitExceeded: the queue is full.
            Gone, Conflict: the batch of its place is gone, or was cancelled.
            OutcomeUnknown: no answer came; `details["execution_id"]` names what to poll.
        """
        try:
            reply = await self._send(submission)
        except OutcomeUnknown as error:
            error.message = (
                f"Redis did not answer; poll {submission.execution_id} to see whether it was accepted"
            )
            error.details["execution_id"] = submission.execution_id
            raise
        match reply:
            case [b"accepted", revision, status, state, position]:
                return StoredExecution(
                    submission.execution_id,
                    int(revision),
                    submission.namespace_id,
                    submission.retriever_id,
                    status.decode(),
                    submission.head,
                    state,
                    submission.detail,
                    queue_position=int(position) if position else None,
                )
            case [b"replayed", execution_id]:
                return Replayed(execution_id.decode())
            case [b"mismatch", _]:
                raise IdempotencyMismatch
            case [b"stale"]:
                raise StaleRetriever
            case [b"no_batch"]:
                raise Gone("the batch has expired; send the lines again as a new one")
            case [b"batch_cancelled"]:
                raise Conflict("the batch was cancelled and takes no new lines", code="batch_cancelled")
            case [b"no_collection", collection_id]:
                raise NotFound(f"collection {collection_id.decode()!r} no longer exists; leave it out")
            case [b"namespace_full", waiting]:
                raise LimitExceeded(
                    f"the namespace has as many executions waiting as it may ({waiting}); try again later",
                    code="namespace_queue_full",
                    details={"waiting": waiting},
                )
            case _:
                raise LimitExceeded(
                    f"the queue is full ({reply[1]} executions are pending); try again later",
                    code="queue_full",
                    details={"waiting": reply[1]},
                )

    async def _send(self, submission: Submission) -> Any:
        place = submission.place
        line = (place.batch_id, place.line, place.digest, place.caller_id, UPLOAD_SILENCE_MS) if place else ()
        function = "submit_line" if place else "submit"
        return await self._redis.fcall(function, *line, *submit_arguments(submission, self._settings))

    async def cancel(self, execution_id: str, reason: str) -> Cancellation | None:
        """End it, whatever its state; None when there is no record. One round trip, repeatable.

        Raises:
            OutcomeUnknown: no answer came; `details["execution_id"]` names what to poll.
        """
        settings = self._settings
        retention = (settings.result_ttl_s, settings.summary_ttl_s, settings.history_max)
        try:
            word, *more = await self._redis.fcall(
                "cancel", execution_id, orjson.dumps(reason), *retention, "any"
            )
        except OutcomeUnknown as error:
            error.details["execution_id"] = execution_id
            raise
        match word:
            case b"cancelled":
                return Cancellation("cancelled", "removed_from_queue")
            case b"stopping":
                return Cancellation("cancelled", "stopping", orjson.loads(more[0]))
            case b"terminal":
                return Cancellation(more[0].decode(), "already_terminal")
            case _:
                return None

    async def read(self, execution_id: str) -> StoredExecution | None:
        """One HMGET; calls of one loop tick share a round trip."""
        with reading():
            values = await self._redis.execute("HMGET", keys.execution(execution_id), *_READ_FIELDS)
        return stored_execution(execution_id, values)

    async def watch(self, execution_id: str, watcher: str) -> StoredExecution | None:
        """As `read`, and `watcher` is woken by every later change."""
        with reading():
            values = await self._redis.fcall("watch", execution_id, watcher)
        return stored_execution(execution_id, values)

    async def queue_position(self, queue: str, sequence: int) -> int:
        """1 + how many executions in the queue are in front of this number. One ZCOUNT, O(log queue)."""
        with reading():
            return 1 + int(await self._redis.execute("ZCOUNT", keys.pending(queue), "-inf", f"({sequence}"))

    async def watch_many(self, execution_ids: Sequence[str], watcher: str) -> list[Glance | None]:
        """Each as it is now, in this order; `watcher` ("" = nobody) is woken by later changes.

        One round trip, O(ids) in Redis.
        """
        with reading():
            found = await self._redis.fcall("watch_many", watcher, *execution_ids)
        return [
            _glance(execution_id, values) if values else None
            for execution_id, values in zip(execution_ids, found, strict=True)
        ]

    async def extend(self, execution_id: str, keep_s: int) -> Extension | None:
        """Keep an ended execution, result and summary, for `keep_s` from now; None when there is no record.

        One round trip; asked again it extends by what has passed since.

        Raises:
            Conflict: it has not ended.
        """
        word, *more = await self._redis.fcall("extend", execution_id, keep_s, self._settings.summary_ttl_s)
        if word == b"missing":
            return None
        if word == b"open":
            raise Conflict(
                f"{execution_id} is {more[0].decode()}; its retention begins when it has ended",
                code="execution_not_ended",
            )
        revision, status, expires_at = more
        return Extension(int(revision), status.decode(), expires_at.decode(), word == b"extended")

    async def tombstone(self, execution_id: str) -> bytes | None:
        """The summary (JSON) that outlives an ended execution, or None: it never existed, or long ago."""
        with reading():
            line: bytes | None = await self._redis.fcall("tombstone", execution_id)
            return line

    async def documents(self, execution_id: str, offset: int, limit: int) -> list[bytes] | None:
        """A slice of a stored result of more than one page, each document as JSON.

        None when the whole result is in the record itself. Two commands in one round trip.
        """
        key = keys.result_documents(execution_id)
        with reading():
            is_there, chunks = await asyncio.gather(
                self._redis.execute("EXISTS", key),
                self._redis.execute("LRANGE", key, *result_chunks.chunks_of(offset, limit)),
            )
        return result_chunks.unpacked(chunks, offset, limit) if is_there else None

    async def kept(self, execution_id: str) -> tuple[str, int, bytes] | None:
        """(stage, how many documents it left, the first of them as a JSON array) of the last checkpoint.

        None: there is none, or the run has ended by itself.
        """
        with reading():
            stage, total, rows = await self._redis.execute(
                "HMGET", keys.checkpoint(execution_id), "stage", "total", "rows"
            )
        return None if stage is None else (stage.decode(), int(total), rows)

    async def history(
        self,
        retriever_id: str,
        status: Status | None,
        *,
        below: int | None,
        offset: int,
        limit: int,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> tuple[int, list[tuple[int, bytes]]]:
        """(total, [(sequence, summary JSON)] newest first); `below` continues after a sequence.

        `since_ms` and `until_ms` are times of submission since the epoch, both included: a sequence number is
        that time in microseconds. What is older than `summary_ttl_s` is not listed. One round trip.
        """
        first = "-inf" if since_ms is None else since_ms * 1_000
        last = "+inf" if until_ms is None else until_ms * 1_000 + 999
        after = "" if below is None else below
        with reading():
            reply = await self._redis.fcall(
                "history",
                retriever_id,
                status or "",
                after,
                offset,
                limit,
                first,
                last,
                self._settings.summary_ttl_s,
            )
        total, *flat = reply
        return int(total), [(int(flat[i]), flat[i + 1]) for i in range(0, len(flat), 2)]

    async def newest(
        self, retriever_ids: Sequence[str], status: Status | None, *, below: int | None, limit: int
    ) -> tuple[int, list[tuple[int, bytes]]]:
        """As `history`, of several retrievers in one order. One round trip."""
        with reading():
            reply = await self._redis.fcall(
                "newest",
                status or "",
                "" if below is None else below,
                limit,
                self._settings.summary_ttl_s,
                *retriever_ids,
            )
        total, *flat = reply
        return int(total), [(int(flat[i]), flat[i + 1]) for i in range(0, len(flat), 2)]

    async def profiles(self, retriever_id: str, version: int, *, count: int) -> list[StageProfile]:
        """Of the newest `count` completed executions, those that ran this version, newest first."""
        with reading():
            found = await self._redis.fcall("profiles", retriever_id, version, count)
        return [profile_from(raw) for raw in found]

    async def lease_ends_ms(self, execution_id: str) -> int | None:
        """When the lease of a running execution ends, by the clock of Redis (ms); None: nobody holds it."""
        with reading():
            ends_ms = await self._redis.execute("ZSCORE", keys.LEASES, execution_id)
        return int(float(ends_ms or 0)) or None


def submit_arguments(submission: Submission, settings: Settings) -> list[Argument]:
    """What the function submit takes."""
    return [
        submission.execution_id,
        submission.namespace_id,
        submission.retriever_id,
        submission.version,
        broker.QUEUE_ALERTS if submission.alert_id else broker.QUEUE_OF[submission.priority],
        submission.request,
        submission.head,
        packed(submission.detail),
        submission.first_stage,
        submission.shadow,
        submission.figures,
        submission.about,
        broker.message_template(),
        submission.watcher,
        submission.idempotency_digest,
        submission.body_digest,
        settings.idempotency_ttl_s,
        settings.queue_max,
        settings.summary_ttl_s,
        settings.history_max,
        submission.definition,
        "1" if submission.stream else "",
        submission.alert_id,
        submission.alert,
        *submission.collection_ids,
    ]


def _glance(execution_id: str, values: Sequence[Any]) -> Glance:
    revision, namespace, retriever, status, state, position, sequence = values
    return Glance(
        execution_id,
        int(revision),
        namespace.decode(),
        retriever.decode(),
        status.decode(),
        state,
        int(position) or None,
        int(sequence or 0),
    )


def stored_execution(execution_id: str, values: Sequence[bytes | None]) -> StoredExecution | None:
    """From `_READ_FIELDS` in their order; None when there is no such record."""
    revision, namespace, retriever, status, head, state, detail, queue, sequence = values
    if not (revision and namespace and retriever and status):
        return None
    return StoredExecution(
        execution_id,
        int(revision),
        namespace.decode(),
        retriever.decode(),
        status.decode(),
        head or b"{",
        state or b"",
        unpacked(detail) if detail else b"}",
        queue.decode() if queue else "",
        int(sequence or 0),
    )
