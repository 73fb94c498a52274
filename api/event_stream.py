"""Sends an endless answer: a slow client holds up nobody, one that leaves is noticed, a stop ends it well."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.errors import LimitExceeded, Unavailable

logger = logging.getLogger("kennel.api")

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
)
_RETRY_S = 5
# The server buffers 64 KB for a client; when those have not moved for so long it is cut off.
_SEND_TIMEOUT_S = 30.0


class OpenStreams:
    """All streams of this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._sending: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Room for one stream until the block ends.

        Raises:
            LimitExceeded: there are too many. Unavailable: the process is stopping.
        """
        if self._is_stopping:
            raise Unavailable("this API process is stopping; connect again")
        if self._count >= self._most:
            raise LimitExceeded(
                f"this API process has {self._most:,} open streams, as many as it takes; poll, or try again",
                code="too_many_streams",
                details={"retry_after_seconds": _RETRY_S, "limit": self._most},
            )
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @contextmanager
    def sending(self, task: asyncio.Task[None]) -> Iterator[None]:
        """The task is cancelled when the process stops."""
        self._sending.add(task)
        try:
            yield
        finally:
            self._sending.discard(task)

    def stop(self) -> None:
        """End every stream, and begin no more. The server waits for its open answers before it ends."""
        self._is_stopping = True
        for task in self._sending:
            task.cancel()


@dataclass(slots=True)
class EventStream:
    """An answer that goes on; `slot` is given back when it ends."""

    frames: AsyncGenerator[bytes]
    headers: list[tuple[bytes, bytes]]
    slot: ExitStack
    streams: OpenStreams

    async def send(self, receive: Receive, send: Send) -> None:
        """Until the frames end, the client has gone or is too slow, or the process stops."""
        with self.slot:
            await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *self.headers]})
            sending = asyncio.create_task(self._send_frames(send))
            leaving = asyncio.create_task(_gone(receive))
            with self.streams.sending(sending):
                try:
                    await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    has_left = leaving.done()
                    sending.cancel()
                    leaving.cancel()
                    outcome, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
            if isinstance(outcome, TimeoutError) or has_left:
                return  # nothing gets through to it
            if isinstance(outcome, Exception):
                logger.error("a stream broke off", exc_info=outcome)
            await send({"type": "http.response.body", "body": b""})

    async def _send_frames(self, send: Send) -> None:
        """Raises TimeoutError when the client takes nothing any more."""
        async with aclosing(self.frames) as frames:
            async for frame in frames:
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await send({"type": "http.response.body", "body": frame, "more_body": True})


class StreamingAnswer(Response):
    """An `EventStream` as what a handler of the framework returns."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream.send(receive, send)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
