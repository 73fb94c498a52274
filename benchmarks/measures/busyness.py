"""How much of a worker's threads' time goes into stages, when stages wait for something else."""

from __future__ import annotations

from benchmarks.bench import Bench, in_turns
from benchmarks.figures import Row, Target, busy_share
from benchmarks.kennel_side import Kennel
from benchmarks.load import run_load
from benchmarks.measures.backlog import wait_until_left
from benchmarks.stages import BEGAN_AT_S, SLEPT_S

_THREADS = 8
_TARGET = Target("value", "≥", 90)


def measure(bench: Bench) -> list[Row]:
    percents: dict[bool, list[float]] = {False: [], True: []}
    for task_events in in_turns(bench.effort.rounds, list(percents)):
        percents[task_events].append(_busy_percent(bench.kennel, bench.effort.sleepers, task_events))
    group = f"busy share of {_THREADS} threads: executions of three stages of 5 to 50 ms"
    return [
        Row(
            group,
            f"task events {'on' if task_events else 'off'}",
            "%",
            shares,
            (),
            None if task_events else _TARGET,  # targets are set without events, as for the backlog
        )
        for task_events, shares in percents.items()
    ]


def _busy_percent(kennel: Kennel, count: int, task_events: bool) -> float:
    retriever = kennel.retrievers.sleep
    before = kennel.completed(retriever)
    run_load(kennel.submits(retriever), count=count)
    with kennel.worker(threads=_THREADS, task_events=task_events) as worker:
        wait_until_left(lambda: before + count - kennel.completed(retriever), 0, worker)
    sleeps = [(stage[BEGAN_AT_S], stage[SLEPT_S]) for stage in kennel.reports(retriever, count)]
    return 100 * busy_share(sleeps, _THREADS)
