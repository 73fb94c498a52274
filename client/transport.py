"""HTTP/1.1 over kept connections, one request at a time on each; any number of threads.

Not httpx: with it the client of a batch used three times the CPU per request, more than the server.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, TypeVar

import orjson

from client.errors import NoAnswer, NotConfigured
from client.target import Target, Timeouts

T = TypeVar("T")

ANSWER_MAX_BYTES = 64_000_000  # four times the largest result that the server stores by default
TRIES_MAX = 50
# A server that never answered is more likely a wrong address than one that is restarting.
_FIRST_RETRY_S = 5.0
_BACKOFF_FIRST_S = 0.2
_BACKOFF_MAX_S = 5.0
_RETRY_AFTER_MAX_S = 30.0
_OK = 200
_CLOSED = "the client is closed; make a new one"
_SILENCE_S = 40.0  # the server sends a heartbeat every 15 s
_RETRIED = frozenset((429, 503, 504))


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hold_s: float = 0.0  # how long the server may hold the answer
    repeatable: bool = True  # sent twice it does the same as once


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """What `Retry-After` asks for, in seconds; a date is not used by Kennel and not read."""
        header = self.headers.get("Retry-After", "")
        return min(float(header), _RETRY_AFTER_MAX_S) if header.isdecimal() else None

    def parsed(self, make: Callable[[Any], T]) -> T:
        """What `make` makes of the JSON.

        Raises:
            NoAnswer: the body is not what Kennel answers, so somebody else does.
        """
        try:
            return make(orjson.loads(self.body))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise NoAnswer(f"the answer is not one of Kennel's ({error!r}); check the URL") from error


class Transport:
    """Sends requests to one server, and repeats those that may be."""

    def __init__(self, target: Target, timeouts: Timeouts) -> None:
        self._target = target
        self._timeouts = timeouts
        self._headers = {"Host": target.url.netloc, **target.headers()}
        self._tls = ssl.create_default_context() if target.url.scheme == "https" else None
        self._idle: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        self._has_answered = False

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status, after as many tries as it takes within `timeouts.retry_s`.

        A broken connection, 429, 503 and 504 are tried again if the request is repeatable, after what
        `Retry-After` says, else after a random time that doubles (full jitter).

        Raises:
            NoAnswer: there was none, or the transport is closed.
        """
        began_s = time.monotonic()
        for attempt in range(TRIES_MAX):
            outcome = self._outcome(request)
            asked_s = None
            if isinstance(outcome, Answer):
                if outcome.status not in _RETRIED:
                    return outcome
                asked_s = outcome.retry_after_s
            wait_s = asked_s or _backoff_s(attempt)
            is_late = time.monotonic() + wait_s > began_s + self._patience_s()
            if is_late or not request.repeatable or not self.sleep(wait_s):
                break
        if isinstance(outcome, NoAnswer):
            raise outcome
        return outcome

    def lines(self, request: Request, give_up_at_s: float) -> Iterator[bytes]:
        """The lines of an event stream as they come, without their ends.

        They end with the server's answer, at `give_up_at_s` (monotonic s), and at once when no events are
        served there.

        Raises:
            NoAnswer: the connection broke, or was silent for longer than the server's heartbeats leave it.
        """
        raw = self._encoded(request)
        sock: socket.socket | None = None
        try:
            sock = self._opened()
            sock.settimeout(self._timeouts.read_s)
            sock.sendall(raw)
            with http.client.HTTPResponse(sock, method=request.method) as response:
                response.begin()
                self._has_answered = True
                if response.status != _OK or response.headers.get_content_type() != "text/event-stream":
                    return
                while (left_s := give_up_at_s - time.monotonic()) > 0:
                    sock.settimeout(min(left_s, _SILENCE_S))
                    line = response.readline(ANSWER_MAX_BYTES)
                    if not line.endswith(b"\n"):
                        return
                    yield line.rstrip(b"\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(self._no_answer(error)) from error
        finally:
            self._drop(sock)

    def sleep(self, duration_s: float) -> bool:
        """Wait, but not beyond `close`; False when that cut it short."""
        return not self._closed.wait(duration_s)

    def close(self) -> None:
        """End every connection; requests under way raise NoAnswer. Safe from any thread, and twice."""
        self._closed.set()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            sock.close()

    def _patience_s(self) -> float:
        """For how long a request is repeated."""
        retry_s = self._timeouts.retry_s
        return retry_s if self._has_answered else min(retry_s, _FIRST_RETRY_S)

    def _outcome(self, request: Request) -> Answer | NoAnswer:
        try:
            return self._send_once(request)
        except NoAnswer as error:
            return error

    def _send_once(self, request: Request) -> Answer:
        raw = self._encoded(request)
        sock: socket.socket | None = None
        try:
            sock = self._opened()
            sock.settimeout(self._timeouts.read_s + request.hold_s)
            answer, is_kept = _exchange(sock, request.method, raw)
        except (OSError, http.client.HTTPException) as error:
            self._drop(sock)
            raise NoAnswer(self._no_answer(error)) from error
        except BaseException:  # interrupted between request and answer: the next answer would be this one's
            self._drop(sock)
            raise
        if is_kept:
            self._idle.append(sock)
        else:
            self._drop(sock)
        self._has_answered = True
        return answer

    def _encoded(self, request: Request) -> bytes:
        """Head and body in one piece, so that the server reads both at once.

        Raises:
            NotConfigured: a line break in a header, which would be a header of its own.
        """
        headers = {**self._headers, **request.headers, "Content-Length": str(len(request.body))}
        lines = [f"{request.method} {self._target.url.path}{request.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any("\n" in line or "\r" in line for line in lines):
            raise NotConfigured("a key, namespace or idempotency key has a line break in it; remove that")
        return "\r\n".join([*lines, "", ""]).encode() + request.body

    def _opened(self) -> socket.socket:
        if self._closed.is_set():
            raise NoAnswer(_CLOSED)
        return self._take() or self._connect()

    def _take(self) -> socket.socket | None:
        """A kept connection that is open as far as can be told."""
        while self._idle:
            try:
                sock = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if not _is_ended(sock):
                return sock
            self._drop(sock)
        return None

    def _connect(self) -> socket.socket:
        url = self._target.url
        port = url.port or (80 if self._tls is None else 443)
        sock = socket.create_connection((url.hostname, port), self._timeouts.connect_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_hostname=url.hostname)
        self._open.add(sock)
        if self._closed.is_set():  # meanwhile: `close` may not have seen this one
            self._drop(sock)
            raise NoAnswer(_CLOSED)
        return sock

    def _drop(self, sock: socket.socket | None) -> None:
        if sock is not None:
            sock.close()
            self._open.discard(sock)

    def _no_answer(self, error: Exception) -> str:
        reason = str(error) or type(error).__name__
        return f"{self._target.origin} gave no answer ({reason}); is `kennel up` running there?"


def _exchange(sock: socket.socket, method: str, raw: bytes) -> tuple[Answer, bool]:
    """Send a request; its answer, and whether the connection can be used again."""
    sock.sendall(raw)
    with http.client.HTTPResponse(sock, method=method) as response:
        response.begin()
        body = response.read(ANSWER_MAX_BYTES + 1)
        if len(body) > ANSWER_MAX_BYTES:
            raise http.client.HTTPException(f"it is over {ANSWER_MAX_BYTES:,} bytes; ask for fewer documents")
        if response.length:  # the server died in the middle; a read of so many bytes does not say so
            raise http.client.IncompleteRead(body, response.length)
        return Answer(response.status, response.headers, body), not response.will_close


def _is_ended(sock: socket.socket) -> bool:
    """The server has closed an idle connection: there is something to read, which can only be the end."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(0))


def _backoff_s(attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015)."""
    return jitter() * min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0**attempt)
