"""Watching many executions at once: answered as soon as one of them is not as the client knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson

from api.context import ApiContext
from api.deps import Access
from api.services.executions.answers import waiting_members
from api.services.executions.reading import wait_reason
from api.services.waiting import LOOK_AGAIN_S
from shared import ids
from shared.errors import Unavailable
from shared.stores.executions import Glance


@dataclass(frozen=True, slots=True)
class Watched:
    """What differs from what the client knows."""

    changed: Sequence[Glance]
    not_found: Sequence[str]

    @property
    def is_news(self) -> bool:
        return bool(self.changed or self.not_found)


class _Watch:
    """The executions of one request, as they were when they were last looked at."""

    def __init__(self, context: ApiContext, access: Access, known: Mapping[str, int | None]) -> None:
        self._context = context
        self._access = access
        self._known = known
        self._seen: dict[str, Glance | None] = {}

    async def look(self, execution_ids: Sequence[str], watcher: str = "") -> None:
        found = await self._context.executions.watch_many(execution_ids, watcher)
        for execution_id, glance in zip(execution_ids, found, strict=True):
            is_ours = glance is not None and glance.namespace_id == self._access.namespace_id
            self._seen[execution_id] = glance if is_ours else None

    def result(self) -> Watched:
        return Watched(
            [
                each
                for each in self._seen.values()
                if each and each.revision != self._known[each.execution_id]
            ],
            [execution_id for execution_id, each in self._seen.items() if each is None],
        )

    async def can_change(self) -> bool:
        """Not when all have ended, or all that have not are waiting for a worker that is not there."""
        waiting = {each.status for each in self._seen.values() if each and not each.is_terminal}
        if waiting == {"pending"}:
            return (await self._context.health.load()).workers_online > 0
        return bool(waiting)


async def watch_many(
    context: ApiContext, access: Access, known: Mapping[str, int | None], wait_s: float
) -> Watched:
    """
    Args:
        known: execution id -> the revision that the client has seen; None = none yet.
        wait_s: How long the answer may be held while nothing differs (s).
    """
    watch = _Watch(context, access, known)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    with context.wakeups.listening(*known) as changed:
        await watch.look(list(known), context.wakeups.name if wait_s > 0 else "")
        while not watch.result().is_news and (left_s := ends_at - loop.time()) > 0:
            if not await watch.can_change():
                break
            look_at: Sequence[str] = list(known)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await changed.wait()
                look_at = list(changed.ids)
            changed.clear()
            await watch.look(look_at)
    return watch.result()


async def watched_body(context: ApiContext, watched: Watched) -> bytes:
    """The JSON object of the answer; changed ones without their results."""
    if any(each.status == "pending" for each in watched.changed):
        with suppress(Unavailable):
            await context.health.load()
    entries = [orjson.Fragment(_entry(context, each)) for each in watched.changed]
    return orjson.dumps({"changed": entries, "not_found": watched.not_found})


def _entry(context: ApiContext, glance: Glance) -> bytes:
    owner = "" if ids.is_adhoc(glance.retriever_id) else glance.retriever_id
    head = b'{"execution_id":"%s","retriever_id":"%s"' % (glance.execution_id.encode(), owner.encode())
    reason = wait_reason(context, glance)
    position = None if reason == "retry_backoff" else glance.queue_position
    waiting = waiting_members(reason, position)
    return head + glance.state + waiting + b"}"
