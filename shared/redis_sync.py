"""Redis as workers and ops use it: the synchronous client, functions by name, retries through an outage."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.retry import Retry

from shared import scripts
from shared.errors import Unavailable

T = TypeVar("T")
Argument = str | bytes | int | float

AWAY = (ConnectionError, TimeoutError)
_FIRST_DELAY_S, _MAX_DELAY_S = 0.05, 1.0


class _KernelTimed(redis.Connection):
    """Bounded by timeouts of the kernel, not of Python, which asks whether a socket is ready before each use.

    That is two system calls less in a round trip, and the interpreter's lock is given up half as often.
    """

    def _connect(self) -> socket.socket:
        connected: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        timeout_s = self.socket_timeout or 0
        until = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1_000_000))  # struct timeval
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, until)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, until)
        connected.settimeout(None)
        return connected

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ConnectionError as error:
            if isinstance(error.__context__, BlockingIOError):  # the kernel's word for it
                raise TimeoutError("Timeout reading from socket") from error
            raise


def connect(url: str, *, timeout_s: float = 5.0, max_connections: int = 64) -> redis.Redis:
    """A client whose every call is bounded by `timeout_s`. Lazy: nothing is sent yet. Bytes in, bytes out.

    It repeats nothing by itself; `through_outage` does.
    """
    return redis.Redis.from_url(
        url,
        **({"connection_class": _KernelTimed} if url.startswith("redis://") else {}),  # not for TLS
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=min(timeout_s, 2.0),
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
    )


def fcall(client: redis.Redis, function: str, *args: Argument) -> Any:
    """Call a function of shared/lua, loading the library when this server does not have it yet."""
    name = scripts.function_name(function)
    try:
        return client.fcall(name, 0, *args)
    except ResponseError as error:
        if "Function not found" not in str(error):
            raise
    client.function_load(scripts.library_source(), replace=True)
    return client.fcall(name, 0, *args)


class Posted:
    """A call that was sent without waiting for its reply. None: it is not known, and may never be."""

    __slots__ = ("reply",)

    def __init__(self) -> None:
        self.reply: Any = None


class Functions:
    """Calls functions of shared/lua on a connection that each thread keeps for itself.

    Checking a connection out and in for every call, as the client does, costs more than the call, and so does
    looking at every argument. Make it after a fork, and use it from threads that live long.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._held = threading.local()

    def call(self, function: str, *args: Argument) -> Any:
        """The function's reply. Raises what `AWAY` names when the server is; the next call reconnects."""
        try:
            connection, posted = self._send(function, args)
            for each in posted:
                with contextlib.suppress(ResponseError):  # whoever posted it sees that there is no reply
                    each.reply = connection.read_response()
            return connection.read_response()
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        return fcall(self._client, function, *args)

    def post(self, function: str, *args: Argument) -> Posted:
        """Send a call, and go on: the next `call` of this thread reads the reply before its own.

        So a call costs neither a wait nor a change of threads. Raises as `call`; then what this thread has
        posted and not had a reply to may be lost.
        """
        _, posted = self._send(function, args)
        made = Posted()
        self._held.posted = [*posted, made]
        return made

    def _send(self, function: str, args: Sequence[Argument]) -> tuple[Any, Sequence[Posted]]:
        """The connection, and what was posted to it: those replies come first; after an error, never."""
        held = self._held
        connection = getattr(held, "connection", None)
        if connection is None:
            connection = held.connection = self._client.connection_pool.get_connection()
            held.posted = []
        posted, held.posted = held.posted, []
        name = scripts.function_name(function)
        command = hiredis.pack_command(("FCALL", name, 0, *args))  # type: ignore[arg-type]
        connection.send_packed_command((command,), check_health=False)
        return connection, posted


def through_outage(call: Callable[[], T], *, patience_s: float) -> T:
    """Repeat a repeatable call while the server is away, backing off, for at most `patience_s`.

    Raises:
        Unavailable: the server did not answer in that time.
    """
    give_up_at = time.monotonic() + patience_s
    delay_s = _FIRST_DELAY_S
    while True:
        try:
            return call()
        except AWAY as error:
            if time.monotonic() + delay_s > give_up_at:
                raise Unavailable(f"Redis did not answer for {patience_s:g} s: {error}") from error
        time.sleep(delay_s * random.uniform(0.5, 1.0))
        delay_s = min(delay_s * 2, _MAX_DELAY_S)


def text(value: bytes | str | None) -> str:
    """A reply as text; '' for nil."""
    return value.decode() if isinstance(value, bytes) else (value or "")


def texts(values: Sequence[bytes]) -> list[str]:
    return [text(value) for value in values]
