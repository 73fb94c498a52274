"""A batch whose results are sent as they come, as frames of `text/event-stream` (contract 2.8)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

import orjson

from api.context import ApiContext
from api.services.batches.queries import Outcome, Queries, entry, shown
from api.services.executions.event_feed import HEARTBEAT, HEARTBEAT_S, LIFETIME_S, is_allowed
from api.services.waiting import LOOK_AGAIN_S, hold
from shared.errors import Unavailable
from shared.stores.executions import StoredExecution


class QueryStream:
    """Each query is submitted when its turn comes: at most `concurrency` of them run at once."""

    def __init__(self, context: ApiContext, queries: Queries, check: Callable[[], Awaitable[object]]) -> None:
        """`check` is asked at each heartbeat; a KennelError ends the stream."""
        self._context = context
        self._queries = queries
        self._check = check
        self._turns = asyncio.Semaphore(queries.body.concurrency)
        self._ends_at = asyncio.get_running_loop().time() + LIFETIME_S

    async def frames(self) -> AsyncGenerator[bytes]:
        """A frame for each query when it has ended, and a last one. Who leaves submits no more of them."""
        count = len(self._queries.body.queries)
        tasks = {asyncio.create_task(self._run(index)): index for index in range(count)}
        pending = set(tasks)
        try:
            while pending:
                done, pending = await asyncio.wait(
                    pending, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                for task in sorted(done, key=tasks.__getitem__):
                    yield _frame("query_result", entry(self._context, tasks[task], task.result()))
                if not done:
                    yield HEARTBEAT
                    if not await is_allowed(self._check):
                        return
            yield _frame("batch_complete", orjson.dumps(self._queries.summary()))
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _run(self, index: int) -> Outcome:
        async with self._turns:
            outcome = await self._queries.submit(index, wait_s=0)
            if isinstance(outcome, StoredExecution):
                outcome = await self._ended(outcome)
            return await shown(self._context, outcome)

    async def _ended(self, stored: StoredExecution) -> StoredExecution:
        """When it has ended, however long Redis or the workers are away; as it is when the time is over."""
        loop = asyncio.get_running_loop()
        while not stored.is_terminal and (left_s := self._ends_at - loop.time()) > 0:
            try:
                stored = await self._held(stored, left_s)
            except Unavailable:
                await asyncio.sleep(LOOK_AGAIN_S)
        return stored

    async def _held(self, stored: StoredExecution, wait_s: float) -> StoredExecution:
        executions, wakeups = self._context.executions, self._context.wakeups
        with wakeups.listening(stored.execution_id) as changed:
            return await hold(
                await executions.watch(stored.execution_id, wakeups.name) or stored,
                partial(executions.read, stored.execution_id),
                changed,
                wait_s,
                satisfied=lambda now: now.is_terminal,
                is_hopeless=_never,
            )


async def _never(stored: StoredExecution) -> bool:
    return False


def _frame(event_type: str, members: bytes) -> bytes:
    """`members` is a JSON object without line breaks."""
    return b'data: {"event_type":"%s",%s\n\n' % (event_type.encode(), members[1:])
