"""The load generator: keep-alive connections, each sending its next request when its last is answered.

A process of its own (`python -m benchmarks.load`, plan on stdin, result on stdout), so that neither the
servers nor the measuring process share its interpreter. It parses no more of HTTP than it has to.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import cast

import uvloop

from benchmarks.figures import BenchError, percentile
from benchmarks.processes import ROOT

CONNECTIONS = 16
_SLACK_S = 30.0
_COUNT_TIMEOUT_S = 120.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Requests:
    """What is sent to one server: the paths in turn, all else the same."""

    host: str
    port: int
    method: str
    paths: Sequence[str]
    headers: Mapping[str, str]
    body: str = ""

    def encoded(self) -> list[bytes]:
        body = self.body.encode()
        headers = {**self.headers, "Host": self.host, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return [f"{self.method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body for path in self.paths]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Of one run."""

    responses: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Responses per second."""
        return self.responses / self.seconds


def run_load(requests: Requests, *, seconds: float | None = None, count: int | None = None) -> LoadResult:
    """Send for a time, or a number of requests, from another process.

    Raises:
        BenchError: any answer was not 2xx, or the generator failed.
    """
    plan = json.dumps({"requests": asdict(requests), "seconds": seconds, "count": count})
    timeout_s = (seconds or _COUNT_TIMEOUT_S) + 2 * _SLACK_S
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=plan, capture_output=True, text=True, cwd=ROOT, timeout=timeout_s, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BenchError(f"the load generator failed:\n{done.stderr[-2000:]}")
    return LoadResult(**json.loads(done.stdout))


@dataclass(slots=True)
class _Run:
    """What the connections share."""

    feed: Iterator[bytes]
    ends_at_s: float
    left: int  # requests that may still be sent
    latencies_s: list[float] = field(default_factory=list)
    bad: Counter[bytes] = field(default_factory=Counter)

    def next_request(self) -> bytes | None:
        if self.left <= 0 or time.perf_counter() >= self.ends_at_s:
            return None
        self.left -= 1
        return next(self.feed)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._needed: int | None = None  # bytes of the whole answer, once its head is there
        self._sent_at_s = 0.0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not derive from it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._needed is None and not self._read_head():
            return
        if self._needed is not None and len(self._buffer) >= self._needed:
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        request = self._run.next_request()
        if request is None:
            self.finished.set_result(None)
            self._transport.close()
            return
        self._buffer, self._needed = b"", None
        self._sent_at_s = time.perf_counter()
        self._transport.write(request)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(self._buffer, 0, end)
        if length is None:
            self.finished.set_exception(ValueError("an answer without Content-Length"))
            self._transport.close()
            return False
        self._needed = end + 4 + int(length[1])
        return True

    def _answered(self) -> None:
        self._run.latencies_s.append(time.perf_counter() - self._sent_at_s)
        if self._buffer[9:10] != b"2":
            self._run.bad[self._buffer[:500]] += 1
        self._send()


async def _generate(requests: Requests, seconds: float | None, count: int | None) -> LoadResult:
    began_s = time.perf_counter()
    limit_s = _COUNT_TIMEOUT_S if seconds is None else seconds
    run = _Run(cycle(requests.encoded()), began_s + limit_s, sys.maxsize if count is None else count)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit_s + _SLACK_S):
        connections = await asyncio.gather(
            *(
                loop.create_connection(lambda: _Connection(run), requests.host, requests.port)
                for _ in range(CONNECTIONS)
            )
        )
        await asyncio.gather(*(connection.finished for _, connection in connections))
    elapsed_s = time.perf_counter() - began_s
    if run.bad:
        answer, times = run.bad.most_common(1)[0]
        raise BenchError(f"{times} of {len(run.latencies_s)} answers were not 2xx, most often: {answer!r}")
    p50_s, p99_s = percentile(run.latencies_s, 0.50), percentile(run.latencies_s, 0.99)
    return LoadResult(len(run.latencies_s), elapsed_s, p50_s * 1000, p99_s * 1000)


def main() -> None:
    plan = json.load(sys.stdin)
    requests = Requests(**plan["requests"])
    result = uvloop.run(_generate(requests, plan["seconds"], plan["count"]))
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
