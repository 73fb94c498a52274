"""Redis as the API uses it: the commands of one loop tick share a round trip.

redis-py's asyncio client checks a connection out for every call, which costs more than the call
itself. Here each of a few connections has one task that takes everything that waits, sends it as one
packet, and hands out the replies. The protocol, TLS and authentication are redis-py's own.

Every command sent through a link must be repeatable: after a broken connection it is sent again.
Blocking commands and subscriptions do not belong here (see api/wakeups.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError, TimeoutError

from shared import scripts
from shared.errors import OutcomeUnknown, Unavailable

Argument = str | bytes | int | float

_LANES = 2  # packets on their way at a time; more only makes them smaller
_BATCH_MAX = 512  # commands in one packet
_RECONNECT_DELAY_S = 0.05
# Replies of a server that is there but cannot serve: nothing was done.
_NOT_NOW = ("LOADING", "MASTERDOWN", "READONLY", "OOM", "NOREPLICAS", "MISCONF", "CLUSTERDOWN")


@dataclass(slots=True)
class _Waiting:
    command: tuple[Argument, ...]
    reply: asyncio.Future[Any]
    give_up_at: float
    sent: bool = field(default=False)


class RedisLink:
    """Sends commands to one server; create it inside a running loop, close it at the end.

    Each call ends within `timeout_s`:
        Unavailable: the command was never sent, or the server refused to serve; nothing was stored.
        OutcomeUnknown: it was sent, and no answer came.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        # No socket timeout: a whole packet is timed at once, which costs less than timing every reply.
        self._pool = ConnectionPool.from_url(
            url, protocol=2, socket_timeout=None, socket_connect_timeout=timeout_s, socket_keepalive=True
        )
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._idle: list[asyncio.Event] = []
        self._lanes = [asyncio.create_task(self._lane(), name=f"redis-lane-{n}") for n in range(_LANES)]

    async def close(self) -> None:
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._pool.aclose()

    async def execute(self, *command: Argument) -> Any:
        """One command; its reply as redis-py parses it without decoding (bytes, int, list, None)."""
        waiting = _Waiting(command, self._loop.create_future(), self._loop.time() + self._timeout_s)
        self._queue.append(waiting)
        if self._idle:
            self._idle.pop().set()
        try:
            return await waiting.reply
        except ResponseError as error:
            if str(error).startswith(_NOT_NOW):
                raise Unavailable(f"Redis cannot serve right now: {error}") from error
            raise

    async def fcall(self, function: str, *args: Argument) -> Any:
        """Call a function of shared/lua, loading the library when this server does not have it yet."""
        name = scripts.function_name(function)
        try:
            return await self.execute("FCALL", name, 0, *args)
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        await self.execute("FUNCTION", "LOAD", "REPLACE", scripts.library_source())
        return await self.execute("FCALL", name, 0, *args)

    async def _lane(self) -> None:
        connection = self._pool.make_connection()
        wake = asyncio.Event()
        try:
            while True:
                if not self._queue:
                    wake.clear()
                    self._idle.append(wake)
                    await wake.wait()
                    await asyncio.sleep(0)  # let the other requests of this loop tick join the packet
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_MAX))]
                await self._deliver(connection, [waiting for waiting in batch if not waiting.reply.done()])
        finally:
            await connection.disconnect(nowait=True)

    async def _deliver(self, connection: AbstractConnection, batch: list[_Waiting]) -> None:
        """Send until each has its reply or its time is over."""
        while batch:
            try:
                await self._round_trip(connection, batch)
            except (ConnectionError, TimeoutError, OSError) as error:  # OSError: a timeout, too
                await connection.disconnect(nowait=True)
                self._expire(batch, error)
                if isinstance(error, AuthenticationError):
                    self._fail(batch, error)
            except RedisError as error:
                await connection.disconnect(nowait=True)
                self._fail(batch, error)
            batch = [waiting for waiting in batch if not waiting.reply.done()]
            if batch:
                await asyncio.sleep(_RECONNECT_DELAY_S)

    async def _round_trip(self, connection: AbstractConnection, batch: list[_Waiting]) -> None:
        if _was_closed(connection):
            await connection.disconnect(nowait=True)
        if not connection.is_connected:
            async with asyncio.timeout_at(batch[0].give_up_at):
                await connection.connect()
        # In C: redis-py's asyncio client packs in Python, argument by argument.
        packet = b"".join(pack_command(waiting.command) for waiting in batch)  # type: ignore[arg-type]
        for waiting in batch:
            waiting.sent = True
        async with asyncio.timeout_at(max(waiting.give_up_at for waiting in batch)):
            await connection.send_packed_command(packet, check_health=False)
            for waiting in batch:
                try:
                    reply = await connection.read_response()
                except ResponseError as error:
                    if not waiting.reply.done():
                        waiting.reply.set_exception(error)
                else:
                    if not waiting.reply.done():
                        waiting.reply.set_result(reply)

    def _expire(self, batch: list[_Waiting], error: BaseException) -> None:
        now = self._loop.time()
        self._fail([waiting for waiting in batch if waiting.give_up_at - now < _RECONNECT_DELAY_S], error)

    def _fail(self, batch: list[_Waiting], error: BaseException) -> None:
        reason = str(error) or type(error).__name__
        for waiting in batch:
            if waiting.reply.done():
                continue
            if waiting.sent:
                failure: Exception = OutcomeUnknown(
                    f"Redis did not answer in time ({reason}); the outcome is unknown"
                )
            else:
                failure = Unavailable(f"Redis is not reachable ({reason}); try again shortly")
            failure.__cause__ = error
            waiting.reply.set_exception(failure)


def _was_closed(connection: AbstractConnection) -> bool:
    """Whether the server has closed it meanwhile: what was not sent yet has certainly not happened."""
    reader = getattr(connection, "_reader", None)
    return connection.is_connected and reader is not None and reader.at_eof()
