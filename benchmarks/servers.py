"""What both sides have in common: a Redis server with Kennel's settings, an API process, meters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import redis

from benchmarks.load import Requests
from benchmarks.processes import Process, running, wait_for
from ops.data_dir import DataDir
from ops.redis_probe import answers
from ops.redis_server import embedded_redis
from shared.redis_sync import connect

HOST = "127.0.0.1"
START_S = 60.0
QUERY = "the quick brown fox jumps over the lazy dog while nobody looks " * 3  # inputs of about 200 bytes


@dataclass(frozen=True, slots=True)
class RedisServer:
    process: Process
    client: redis.Redis
    url: str


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters at one moment; subtract two."""

    cpu_s: float
    commands: int  # run by the Redis server, those inside scripts included
    round_trips: int  # requests it has read from sockets: a pipeline is one

    def since(self, earlier: Reading) -> Reading:
        return Reading(
            self.cpu_s - earlier.cpu_s,
            self.commands - earlier.commands,
            self.round_trips - earlier.round_trips,
        )


class Side(Protocol):
    """Kennel or the naive application, as the measurements of HTTP see it."""

    api: Process
    redis: RedisServer

    def submits(self) -> Requests:
        """Submits with inputs of about 200 bytes."""

    def polls(self, execution_ids: Sequence[str]) -> Requests:
        """Polls of these executions, in turn."""

    def begin(self, count: int) -> list[str]:
        """Ids of new executions in progress, which nobody runs."""

    def finish(self, execution_ids: Sequence[str]) -> None:
        """They have ended."""

    def drain(self) -> None:
        """Forget what was submitted and has not begun. No worker may run."""


@contextlib.contextmanager
def redis_server(name: str, directory: Path) -> Iterator[RedisServer]:
    """A server with the configuration that `kennel up` gives its own: append-only file, no eviction."""
    data_dir = DataDir(directory)
    with contextlib.ExitStack() as stack:
        lock_fd = stack.enter_context(data_dir.locked())
        program, url = embedded_redis(data_dir, lock_fd)
        process = stack.enter_context(running(name, program.argv, program.env, directory, program.keep_fds))
        wait_for(lambda: answers(url), process, START_S, f"{name} answers")
        client = stack.enter_context(contextlib.closing(connect(url)))
        yield RedisServer(process, client, url)


def read_meters(process: Process, server: RedisServer) -> Reading:
    """CPU of a process and its children, and what its Redis server has done. Costs one command."""
    stats: Mapping[str, int] = server.client.info("stats")
    return Reading(process.cpu_s(), stats["total_commands_processed"], stats["total_reads_processed"])
