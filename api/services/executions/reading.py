"""Reading executions: now, or when something changes; and cancelling one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import orjson

from api.context import ApiContext
from api.deps import Access
from api.services.waiting import hold
from shared import ids
from shared.errors import Gone, InvalidInput, NotFound, Unavailable
from shared.stores.executions import Cancellation, Extension, Glance, StoredExecution

CANCEL_REASON = "cancelled on request"

# Of a state: quotes inside of JSON strings are escaped, so no other member can hold this.
_RETRIES = b',"retry_at":"'

_NO_WORKER_S = 5

# Whose execution it is: the id or name of a retriever; None for an ad-hoc one, which has none.
Owner = str | None


async def read(context: ApiContext, access: Access, owner: Owner, execution_id: str) -> StoredExecution:
    """The execution as it is now.

    Raises:
        NotFound: unknown here. Gone: its retention has ended; the details are its tombstone.
    """
    stored = await context.executions.read(execution_id)
    return await _visible(context, access, owner, execution_id, stored)


async def read_when(
    context: ApiContext,
    access: Access,
    owner: Owner,
    execution_id: str,
    wait_s: float,
    satisfied: Callable[[StoredExecution], bool],
) -> StoredExecution:
    """As `read`, held until `satisfied` or the time is over."""
    with context.wakeups.listening(execution_id) as changed:
        stored = await context.executions.watch(execution_id, context.wakeups.name)
        found = await _visible(context, access, owner, execution_id, stored)
        return await until(context, found, execution_id, changed, wait_s, satisfied)


async def follow(context: ApiContext, access: Access, owner: Owner, execution_id: str) -> StoredExecution:
    """As `read`, and its events are kept from now on; this process is woken by each."""
    followed = await context.events.follow(execution_id, context.wakeups.name)
    stored = followed.execution if followed else None
    return await _visible(context, access, owner, execution_id, stored)


async def learn_wait_reason(context: ApiContext, *seen: StoredExecution) -> None:
    """Why pending ones wait is part of their answers and ETags, so what is known of it must not be old.

    It never fails: an execution that was accepted is answered as such, even when Redis is away since.
    """
    if any(each.status == "pending" for each in seen):
        with suppress(Unavailable):
            await context.health.load()


async def with_queue_position(context: ApiContext, stored: StoredExecution) -> StoredExecution:
    """A queued execution with its place, where that is not known yet; others as they are.

    One more round trip, which only answers with a body need. As `learn_wait_reason` it never fails.
    """
    is_queued = stored.status == "pending" and _RETRIES not in stored.state
    if not is_queued or stored.queue_position is not None or not stored.queue:
        return stored
    try:
        position = await context.executions.queue_position(stored.queue, stored.sequence)
    except Unavailable:
        return stored
    return replace(stored, queue_position=position)


async def cancel(context: ApiContext, access: Access, owner: Owner, execution_id: str) -> Cancellation:
    """End it now; its statistics and credits so far stay.

    Raises:
        NotFound, Gone: as `read`. OutcomeUnknown: it may have been cancelled; asking again is harmless.
    """
    await read(context, access, owner, execution_id)
    done = await context.executions.cancel(execution_id, CANCEL_REASON)
    if done is None:  # it has expired since
        raise await missing(context, access, owner, execution_id)
    return done


def wait_reason(context: ApiContext, stored: StoredExecution | Glance) -> str | None:
    """Why a pending execution does not run yet; await `learn_wait_reason` first."""
    if stored.status != "pending":
        return None
    if _RETRIES in stored.state:
        return "retry_backoff"
    if context.health.workers_online == 0:
        return "no_worker_online"
    return "namespace_turn" if stored.is_parked else "queued"


def poll_again_s(context: ApiContext, stored: StoredExecution) -> int:
    """When something may have changed (s): of a queued one by its place and the pace of the queues."""
    match wait_reason(context, stored):
        case "no_worker_online":
            return _NO_WORKER_S
        case "queued" | "namespace_turn" if stored.queue_position is not None:
            return context.health.pace.seconds_for(stored.queue_position, unknown=1)
        case _:
            return 1


async def room_in_s(context: ApiContext, waiting: int) -> int:
    """When one in a hundred of those that wait will have been started (s): room for more than one submit."""
    with suppress(Unavailable):
        await context.health.load()
    return context.health.pace.seconds_for(max(waiting // 100, 1), unknown=_NO_WORKER_S)


async def extend(
    context: ApiContext, access: Access, owner: Owner, execution_id: str, keep_s: int
) -> Extension:
    """Keep an ended execution for so long from now; what is kept longer already stays so.

    Raises:
        InvalidInput: longer than anything is kept. Conflict: it has not ended. NotFound, Gone: as `read`.
    """
    most_s = context.settings.summary_ttl_s
    if keep_s > most_s:
        raise InvalidInput.at(
            ("expires_in_s",), f"must be at most {most_s}, as long as summaries are kept", value=keep_s
        )
    await read(context, access, owner, execution_id)
    extension = await context.executions.extend(execution_id, keep_s)
    if extension is None:  # it has expired since
        raise await missing(context, access, owner, execution_id)
    return extension


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

    async def is_hopeless(seen: StoredExecution) -> bool:
        return seen.status == "pending" and (await context.health.load()).workers_online == 0

    return await hold(
        stored,
        partial(context.executions.read, execution_id),
        changed,
        wait_s,
        satisfied=satisfied,
        is_hopeless=is_hopeless,
    )


async def _visible(
    context: ApiContext, access: Access, owner: Owner, execution_id: str, stored: StoredExecution | None
) -> StoredExecution:
    """The record, if it is one of this namespace and retriever; another's looks like none at all."""
    if stored is None:
        raise await missing(context, access, owner, execution_id)
    if stored.namespace_id == access.namespace_id:
        by_id = owner == stored.retriever_id and not ids.is_adhoc(stored.retriever_id)
        if by_id or await _owns(context, access, owner, stored.retriever_id):
            return stored
    raise _unknown(execution_id, owner)


async def _owns(context: ApiContext, access: Access, owner: Owner, retriever_id: str) -> bool:
    """Whether `owner` means this retriever here. Raises NotFound when it names none of this namespace."""
    if owner is None:
        return retriever_id == ids.adhoc_retriever_id(access.namespace_id)
    return (await context.retrievers.resolve(access.namespace_id, owner)).retriever_id == retriever_id


async def missing(context: ApiContext, access: Access, owner: Owner, execution_id: str) -> NotFound | Gone:
    """Gone with a tombstone when it was one of the owner's, else NotFound."""
    summary = await context.executions.tombstone(execution_id)
    if summary is not None:
        tombstone = orjson.loads(summary)
        if await _owns(context, access, owner, tombstone["retriever_id"]):
            return Gone(
                f"the result of {execution_id} ({tombstone['status']}) has expired; run it again",
                details=tombstone,
            )
    return _unknown(execution_id, owner)


def _unknown(execution_id: str, owner: Owner) -> NotFound:
    if owner is None:
        return NotFound(f"there is no ad-hoc execution {execution_id!r}", code="execution_not_found")
    return NotFound(f"this retriever has no execution {execution_id!r}", code="execution_not_found")
