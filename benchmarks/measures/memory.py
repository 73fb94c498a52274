"""Memory of every process after it has worked."""

from __future__ import annotations

import psutil

from benchmarks.bench import Bench
from benchmarks.figures import Row
from benchmarks.load import run_load
from benchmarks.measures.backlog import wait_until_left
from benchmarks.processes import Process

_MB = 1e6


def measure(bench: Bench) -> list[Row]:
    """The workers are new ones that have run a small backlog; API and Redis have served all before it."""
    kennel, naive, count = bench.kennel, bench.naive, bench.effort.backlog // 4
    retriever = kennel.retrievers.noop
    before = kennel.completed(retriever)
    run_load(kennel.submits(), count=count)
    run_load(naive.submits(), count=count)
    with kennel.worker() as ours, naive.worker() as theirs:
        wait_until_left(lambda: before + count - kennel.completed(retriever), 0, ours)
        wait_until_left(naive.waiting, 0, theirs)
        pairs = [
            ("API", kennel.api, naive.api),
            ("worker with its children", ours, theirs),
            ("Redis", kennel.redis.process, naive.redis.process),
        ]
        return [row for name, mine, other in pairs for row in _rows(name, mine, other)]


def _rows(name: str, ours: Process, theirs: Process) -> list[Row]:
    (our_rss, our_uss), (their_rss, their_uss) = _rss_and_uss_mb(ours), _rss_and_uss_mb(theirs)
    return [
        Row("memory after the runs", f"{name}, RSS", "MB", [our_rss], [their_rss]),
        Row("memory after the runs", f"{name}, USS", "MB", [our_uss], [their_uss]),
    ]


def _rss_and_uss_mb(process: Process) -> tuple[float, float]:
    """Sums over the family: the RSS counts pages that forked children share once for each, the USS never."""
    family = process.family()
    full = [psutil.Process(member.pid).memory_full_info() for member in family]
    return sum(info.rss for info in full) / _MB, sum(info.uss for info in full) / _MB
