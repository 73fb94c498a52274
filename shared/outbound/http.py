"""One POST to a URL that a user gave: guarded, without redirects, proxies or pools, ended by a deadline."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx

from shared.outbound.errors import OutboundFailed, OutboundRefused
from shared.outbound.guard import OutboundGuard
from shared.outbound.urls import Url

_ADDRESSES_MAX = 3  # tried in turn


@dataclass(frozen=True, slots=True)
class Response:
    status_code: int
    headers: Mapping[str, str]  # names in lower case
    start: bytes  # of its body: at most as much as was asked for


def post(
    url: Url,
    headers: Mapping[str, str],
    body: bytes,
    guard: OutboundGuard,
    *,
    timeout_s: float,
    keep_bytes: int,
) -> Response:
    """Send and read the answer's head and the first `keep_bytes` of its body, all within `timeout_s`.

    Raises:
        OutboundRefused: the host is internal. OutboundFailed: no answer came in time.
    """
    backend = _GuardedBackend(guard, time.monotonic() + timeout_s)
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    try:
        with (
            httpcore.ConnectionPool(_tls(), network_backend=backend, max_keepalive_connections=0) as pool,
            pool.stream("POST", url.text, headers=sent, content=body) as answer,
        ):
            start = _start(answer.iter_stream(), keep_bytes)
    except OutboundRefused:
        raise
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise OutboundFailed(f"no answer within {timeout_s:g} s") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise OutboundFailed(str(error) or type(error).__name__) from error
    named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.status, named, start)


def _start(chunks: Iterable[bytes], keep_bytes: int) -> bytes:
    kept = b""
    for chunk in chunks:
        kept += chunk
        if len(kept) >= keep_bytes:
            break
    return kept[:keep_bytes]


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to the addresses that the guard has checked; what it opens ends at the deadline."""

    def __init__(self, guard: OutboundGuard, ends_at: float) -> None:
        """`ends_at` is a reading of the monotonic clock (s)."""
        self._guard = guard
        self._ends_at = ends_at
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._guard.addresses(host, port, timeout_s=_left(self._ends_at))
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:_ADDRESSES_MAX]:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, _left(self._ends_at), local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _EndingStream(stream, self._ends_at)
        raise failure


class _EndingStream(httpcore.NetworkStream):
    """A connection whose every step takes the time that is left, so that slow drops cannot add up."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at: float) -> None:
        self._stream = stream
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends_at))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._ends_at))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._ends_at))
        return _EndingStream(secured, self._ends_at)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends_at: float) -> float:
    """Seconds until then. Raises TimeoutError when there are none."""
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
