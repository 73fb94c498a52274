"""Reading executions: now, when something changes, page by page, and their history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.schemas.execution import CursorPagination, ExecuteBody
from shared.errors import Gone, NotFound
from shared.models.execution import pagination_of
from shared.result_cursor import next_cursor, open_cursor
from shared.stores.executions import StoredExecution

# Publications can be lost; a waiting request looks again this often.
_LOOK_AGAIN_S = 1.5


async def read(context: ApiContext, access: Access, id_or_name: str, execution_id: str) -> StoredExecution:
    """The execution as it is now.

    Raises:
        NotFound: unknown here. Gone: its retention has ended; the details are its tombstone.
    """
    stored = await context.executions.read(execution_id)
    return await _visible(context, access, id_or_name, execution_id, stored)


async def read_when(
    context: ApiContext,
    access: Access,
    id_or_name: str,
    execution_id: str,
    wait_s: float,
    satisfied: Callable[[StoredExecution], bool],
) -> StoredExecution:
    """As `read`, held until `satisfied` or the time is over."""
    with context.wakeups.listening(execution_id) as changed:
        stored = await context.executions.watch(execution_id, context.wakeups.name)
        found = await _visible(context, access, id_or_name, execution_id, stored)
        return await until(context, found, execution_id, changed, wait_s, satisfied)


def wait_reason(context: ApiContext, stored: StoredExecution) -> str | None:
    """Why a pending execution does not run yet; ask `context.health.load()` first."""
    if stored.status != "pending":
        return None
    return "no_worker_online" if context.health.workers_online_cached == 0 else "queued"


async def next_page(
    context: ApiContext, access: Access, id_or_name: str, body: ExecuteBody
) -> StoredExecution:
    """A further page of a stored result: the same execution, nothing runs, nothing is charged.

    Raises:
        BadRequest: the cursor is not ours. NotFound, Gone: as `read`.
    """
    assert isinstance(body.pagination, CursorPagination)
    secret = await context.cursors.secret()
    execution_id, page = open_cursor(body.pagination.cursor or "", secret)
    page = replace(page, size=body.pagination.limit or page.size)
    stored = await read(context, access, id_or_name, execution_id)
    total, rows = await context.executions.documents(execution_id, page.offset, page.size)
    if total == 0:
        raise await _missing(context, access, id_or_name, execution_id)
    detail: dict[str, Any] = orjson.loads(b"{" + stored.detail[1:])
    detail["documents"] = [orjson.Fragment(row) for row in rows]
    detail["total_returned"] = len(rows)
    detail["pagination"] = pagination_of(
        page, total, len(rows), next_cursor(execution_id, page, total, secret)
    )
    return replace(stored, detail=b"," + orjson.dumps(detail)[1:])


async def replayed(context: ApiContext, execution_id: str, wait_s: float) -> StoredExecution:
    """The execution that an idempotency key made, held like a submit."""
    with context.wakeups.listening(execution_id) as changed:
        stored = await context.executions.watch(execution_id, context.wakeups.name)
        if stored is None:
            raise Gone(
                f"execution {execution_id}, made with this Idempotency-Key, has expired; use a new key"
            )
        return await until(context, stored, execution_id, changed, wait_s, lambda now: now.is_terminal)


async def until(
    context: ApiContext,
    stored: StoredExecution,
    execution_id: str,
    changed: asyncio.Event,
    wait_s: float,
    satisfied: Callable[[StoredExecution], bool],
) -> StoredExecution:
    """The record once it satisfies, or as it is when the time is over or no worker could change it."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    while not satisfied(stored) and (left_s := ends_at - loop.time()) > 0:
        try:
            async with asyncio.timeout(min(left_s, _LOOK_AGAIN_S)):
                await changed.wait()
        except TimeoutError:
            if stored.status == "pending" and (await context.health.load()).workers_online == 0:
                return stored
        changed.clear()
        now = await context.executions.read(execution_id)
        if now is None:
            return stored
        stored = now
    return stored


async def _visible(
    context: ApiContext, access: Access, id_or_name: str, execution_id: str, stored: StoredExecution | None
) -> StoredExecution:
    """The record, if it is one of this namespace and retriever; another's looks like none at all."""
    if stored is None:
        raise await _missing(context, access, id_or_name, execution_id)
    if stored.namespace_id == access.namespace_id:
        if stored.retriever_id == id_or_name:
            return stored
        retriever = await context.retrievers.resolve(access.namespace_id, id_or_name)
        if stored.retriever_id == retriever.retriever_id:
            return stored
    raise _unknown(execution_id)


async def _missing(
    context: ApiContext, access: Access, id_or_name: str, execution_id: str
) -> NotFound | Gone:
    """Gone with a tombstone when it was one of this retriever's, else NotFound."""
    summary = await context.executions.tombstone(execution_id)
    if summary is not None:
        tombstone = orjson.loads(summary)
        retriever = await context.retrievers.resolve(access.namespace_id, id_or_name)
        if tombstone["retriever_id"] == retriever.retriever_id:
            return Gone(
                f"the result of {execution_id} ({tombstone['status']}) has expired; run it again",
                details=tombstone,
            )
    return _unknown(execution_id)


def _unknown(execution_id: str) -> NotFound:
    return NotFound(f"this retriever has no execution {execution_id!r}", code="execution_not_found")
