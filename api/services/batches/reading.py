"""Reading batches, now or when they have ended; their list, their results, and cancelling one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.paging import Page
from api.services.executions.answers import answer_body
from api.services.executions.history import position_of
from api.services.executions.partial import with_partial
from api.services.executions.reading import CANCEL_REASON, with_queue_position
from api.services.waiting import hold
from shared.clock import iso
from shared.errors import NotFound
from shared.models.batch import Batch, BatchLine
from shared.models.execution import Status

_BATCH_ID = re.compile(r"batch_[a-z0-9]{1,64}")
_RESULTS_GROUP = 20  # results in memory at a time; one may be megabytes
_CANCEL_GROUP = 100  # lines in one call, which holds up everybody else of Redis


async def read_batch(context: ApiContext, access: Access, batch_id: str) -> Batch:
    """Raises NotFound: unknown here, another namespace's, or expired."""
    readable = batch_id if _BATCH_ID.fullmatch(batch_id) else "batch_-"
    return _visible(access, batch_id, await context.batches.read(readable))


async def read_batch_when(
    context: ApiContext, access: Access, batch_id: str, wait_s: float, satisfied: Callable[[Batch], bool]
) -> Batch:
    """As `read_batch`, held until `satisfied`, or the time is over, or no worker is there."""
    await read_batch(context, access, batch_id)
    with context.wakeups.listening(batch_id) as changed:
        found = _visible(access, batch_id, await context.batches.read(batch_id, context.wakeups.name))

        async def is_hopeless(seen: Batch) -> bool:
            return not seen.uploading and (await context.health.load()).workers_online == 0

        return await hold(
            found,
            partial(context.batches.read, batch_id),
            changed,
            wait_s,
            satisfied=satisfied,
            is_hopeless=is_hopeless,
        )


def _visible(access: Access, batch_id: str, found: Batch | None) -> Batch:
    if found is None or found.namespace_id != access.namespace_id:
        raise NotFound(f"there is no batch {batch_id!r}; it may have expired", code="batch_not_found")
    return found


def answer_of(batch: Batch) -> dict[str, Any]:
    """What is answered about a batch (api/schemas/batches.py, BatchRead)."""
    eta_s = batch.eta_s()
    return {
        "batch_id": batch.batch_id,
        "status": batch.status,
        "complete": batch.complete,
        "submitted": batch.submitted,
        "counts": batch.counts,
        "finished": batch.finished,
        "failed": batch.counts[Status.FAILED],
        "refused": batch.refused,
        "refused_lines": orjson.Fragment(batch.refused_lines),
        "rate_per_s": round(batch.rate_per_s(), 3),
        "rate_over": "recent" if batch.rate_is_recent else "whole_run",
        "eta_s": None if eta_s is None else round(eta_s, 1),
        "created_at": iso(batch.created_ms),
        "started_at": _iso(batch.started_ms),
        "ended_at": _iso(batch.ended_ms),
        "cancelled_at": _iso(batch.cancelled_ms),
    }


def etag_of(batch: Batch) -> str:
    """Weak: rate and time left change with every second, which nobody wants to be told."""
    counts = "-".join(str(count) for count in batch.counts.values())
    return f'W/"{batch.status}-{batch.complete:d}-{counts}-{batch.refused}"'


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A page of a namespace's batches, newest first."""

    results: list[dict[str, Any]]
    total: int
    next_cursor: str | None


async def list_batches(context: ApiContext, access: Access, page: Page) -> BatchPage:
    """Raises BadRequest for a cursor of another list."""
    query = ["batches", access.namespace_id]
    below, offset = None, page.offset
    if page.cursor:
        below, offset = await position_of(context, page.cursor, query)
    total, rows = await context.batches.page(
        access.namespace_id, below=below, offset=0 if page.cursor else offset, limit=page.limit
    )
    following = offset + len(rows)
    cursor = None
    if rows and following < total:
        cursor = await context.cursors.seal([rows[-1][0], following], query)
    return BatchPage([answer_of(batch) for _, batch in rows], total, cursor)


async def cancel_batch(context: ApiContext, access: Access, batch_id: str) -> dict[str, Any]:
    """End all of it that is open, and let nothing more in. May be repeated.

    Raises:
        NotFound: as `read_batch`. OutcomeUnknown: a part may be cancelled; asking again is harmless.
    """
    batch = await read_batch(context, access, batch_id)
    removed = stopping = terminal = 0
    first, last_line = 1, max(1, batch.last_line)
    while first <= last_line:
        done = await context.batches.cancel(batch_id, first, first + _CANCEL_GROUP - 1, CANCEL_REASON)
        if done is None:  # it has expired since
            raise NotFound(f"there is no batch {batch_id!r}; it has expired", code="batch_not_found")
        removed, stopping, terminal = removed + done[0], stopping + done[1], terminal + done[2]
        if first == 1:  # nothing is added any more: what was uploaded meanwhile is cancelled, too
            last_line = (await read_batch(context, access, batch_id)).last_line
        first += _CANCEL_GROUP
    return {
        "batch_id": batch_id,
        "removed_from_queue": removed,
        "stopping": stopping,
        "already_terminal": terminal,
    }


async def result_lines(
    context: ApiContext, batch: Batch, status: Status | None, *, after: int, limit: int
) -> AsyncIterator[bytes]:
    """One JSON object with its newline for each accepted line behind number `after`, in line order.

    Args:
        status: Only those in this status now.
        limit: At most so many.
    """
    left = limit
    for first in range(after + 1, batch.last_line + 1, _RESULTS_GROUP):
        lines = await context.batches.lines(batch.batch_id, first, _RESULTS_GROUP)
        rows = await asyncio.gather(*(_result(context, line) for line in lines))
        for found, row in rows:
            if status is not None and found != status:
                continue
            yield row + b"\n"
            left -= 1
            if left == 0:
                return


async def _result(context: ApiContext, line: BatchLine) -> tuple[str | None, bytes]:
    """(status, JSON object) of a line's execution as it is now."""
    place = b'{"line":%d,"id":%s,"expired":' % (line.line, line.caller_id)
    stored = await context.executions.read(line.execution_id)
    if stored is not None:
        if stored.status == Status.PENDING:
            await context.health.load()
        stored = await with_partial(context, await with_queue_position(context, stored))
        return stored.status, place + b"false," + answer_body(context, stored)[1:]
    summary = await context.executions.tombstone(line.execution_id)
    status = orjson.loads(summary)["status"] if summary else None
    rest: dict[str, Any] = {
        "execution_id": line.execution_id,
        "status": status,
        "error": "its result has expired; run it again",
        "documents": [],
    }
    return status, place + b"true," + orjson.dumps(rest)[1:]


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
