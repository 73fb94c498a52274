"""The events of one execution for one client, as frames of `text/event-stream` (HTML standard, 9.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

import orjson

from api.context import ApiContext
from api.services.executions.answers import answer_body
from api.services.executions.partial import with_partial
from api.services.executions.reading import learn_wait_reason, with_queue_position
from shared.errors import KennelError, Unavailable
from shared.stores.execution_events import FIRST_ID, StoredEvent
from shared.stores.executions import StoredExecution

HEARTBEAT_S = 15.0
HEARTBEAT = b": heartbeat\n\n"
END_ID = "end"  # of the last event, which is the execution itself: nothing can follow
_RETRY = b"retry: 2000\n\n"  # how long a client waits before it connects again (ms)
_LAST = ("execution_complete", "execution_error")
_PAGE = 16  # events read at a time: what a slow client keeps in memory
LIFETIME_S = 3_600.0  # then the client connects again and goes on where it was


class EventFeed:
    """Reads Redis when something happened, and at each heartbeat: wake-ups can be lost."""

    def __init__(
        self,
        context: ApiContext,
        stored: StoredExecution,
        after: str | None,
        check: Callable[[], Awaitable[object]],
    ) -> None:
        """
        Args:
            stored: The execution, which the caller may see.
            after: The last event that the client has seen; None = it wants all.
            check: Asked at each heartbeat; a KennelError ends the stream, as the caller may no longer see it.
        """
        self._context = context
        self._execution_id = stored.execution_id
        self._after = after
        self._check = check
        self._is_over = False
        self._may_be_more = False
        total_stages = orjson.loads(stored.head + b"}")["total_stages"]
        self._about = b'"execution_id":"%s","total_stages":%d' % (stored.execution_id.encode(), total_stages)

    async def frames(self) -> AsyncGenerator[bytes]:
        """Until the execution has ended, is gone, or the stream's time is over."""
        yield _RETRY
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LIFETIME_S
        with self._context.wakeups.listening(self._execution_id) as changed:
            while not self._is_over and loop.time() < ends_at:
                changed.clear()
                for frame in await self._news():
                    yield frame
                if self._is_over or self._may_be_more:
                    continue
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await changed.wait()
                except TimeoutError:
                    yield HEARTBEAT
                    self._is_over = not await is_allowed(self._check)

    async def _news(self) -> Sequence[bytes]:
        """The next frames; none when there is nothing new, or Redis is away."""
        begin = self._after or FIRST_ID
        try:
            events = await self._context.events.since(self._execution_id, begin, count=_PAGE)
            if not events or events[0].event_id != begin:
                return await self._resync()
            ended = None
            if events[-1].type in _LAST:
                ended = await self._ended()
        except Unavailable:
            return ()
        self._may_be_more = len(events) == _PAGE
        new = events if self._after is None else events[1:]
        self._after = events[-1].event_id
        if events[-1].type not in _LAST:
            return [self._frame(event) for event in new]
        self._is_over = True
        last = [self._last(ended)] if ended else []
        return [*(self._frame(event) for event in new if event.type not in _LAST), *last]

    async def _resync(self) -> Sequence[bytes]:
        """What the client has missed cannot be told event by event: the execution as it is now."""
        followed = await self._context.events.follow(self._execution_id, self._context.wakeups.name)
        self._may_be_more = False
        if followed is None or followed.execution.is_terminal:
            self._is_over = True
            ended = await self._ended()
            return [self._last(ended)] if ended else []
        await learn_wait_reason(self._context, followed.execution)
        stored = await with_partial(self._context, followed.execution)
        stored = await with_queue_position(self._context, stored)
        self._after = followed.newest_id
        body = b'{"event_type":"resync",' + answer_body(self._context, stored)[1:]
        return [_frame(self._after or FIRST_ID, body)]

    async def _ended(self) -> StoredExecution | None:
        """The execution with what there is to show of it; None when it has expired."""
        stored = await self._context.executions.read(self._execution_id)
        return await with_partial(self._context, stored) if stored else None

    def _frame(self, event: StoredEvent) -> bytes:
        kind = event.type.encode()
        return _frame(event.event_id, b'{"event_type":"%s",%s%s}' % (kind, self._about, event.members))

    def _last(self, ended: StoredExecution) -> bytes:
        """The execution with its result."""
        kind = b"execution_error" if ended.status in ("failed", "cancelled") else b"execution_complete"
        return _frame(END_ID, b'{"event_type":"%s",%s' % (kind, answer_body(self._context, ended)[1:]))


async def is_allowed(check: Callable[[], Awaitable[object]]) -> bool:
    """Whether who follows may still do so."""
    try:
        await check()
    except Unavailable:
        return True  # nobody can tell; the next heartbeat asks again
    except KennelError:
        return False
    return True


def _frame(event_id: str, data: bytes) -> bytes:
    """`data` is JSON without line breaks."""
    return b"id: %s\ndata: %s\n\n" % (event_id.encode(), data)
