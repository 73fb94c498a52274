"""Memory of every process after it has worked."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Row
from benchmarks.load import run_load
from benchmarks.measures.backlog import wait_until_left
from benchmarks.processes import Process
from benchmarks.servers import RedisServer

_MB = 1e6
_GROUP = "memory after the runs"


def measure(bench: Bench) -> list[Row]:
    """The workers are new ones that run a small backlog; the API processes have served all before it."""
    kennel, naive, count = bench.kennel, bench.naive, bench.effort.backlog // 2
    retriever = kennel.retrievers.noop
    with kennel.worker() as ours, naive.worker() as theirs:
        used_before = _used_kb(kennel.redis), _used_kb(naive.redis)
        before = kennel.completed(retriever)
        run_load(kennel.submits(), count=count)
        run_load(naive.submits(), count=count)
        wait_until_left(lambda: before + count - kennel.completed(retriever), 0, ours)
        wait_until_left(naive.waiting, 0, theirs)
        our_kb = (_used_kb(kennel.redis) - used_before[0]) / count
        their_kb = (_used_kb(naive.redis) - used_before[1]) / count
        return [
            *_rows("API", kennel.api, naive.api),
            *_rows("worker with its children", ours, theirs),
            Row(_GROUP, "Redis, for each finished execution", "kB", [our_kb], [their_kb]),
        ]


def _used_kb(server: RedisServer) -> float:
    """What the data of a Redis server takes, whatever its allocator keeps in reserve."""
    memory: Mapping[str, int] = server.client.info("memory")
    return memory["used_memory_dataset"] / 1e3


def _rows(name: str, ours: Process, theirs: Process) -> list[Row]:
    (our_rss, our_uss), (their_rss, their_uss) = _rss_and_uss_mb(ours), _rss_and_uss_mb(theirs)
    return [
        Row(_GROUP, f"{name}, RSS", "MB", [our_rss], [their_rss]),
        Row(_GROUP, f"{name}, USS", "MB", [our_uss], [their_uss]),
    ]


def _rss_and_uss_mb(process: Process) -> tuple[float, float]:
    """Sums over the family: the RSS counts pages that forked children share once for each, the USS never."""
    family = process.family()
    full = [psutil.Process(member.pid).memory_full_info() for member in family]
    return sum(info.rss for info in full) / _MB, sum(info.uss for info in full) / _MB
