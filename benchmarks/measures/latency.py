"""From the submit to the moment when the client knows that it is complete, one execution at a time."""

from __future__ import annotations

import contextlib
import time

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.client import Client
from benchmarks.figures import BenchError, Row, at_most, percentile
from benchmarks.processes import wait_for
from benchmarks.retrievers import Retriever
from benchmarks.servers import QUERY, START_S

_BODY = {"inputs": {"query": QUERY}}
_DONE = {"completed", "SUCCESS"}
_FAILED = {"failed", "cancelled", "FAILURE"}
_PATIENCE_S = 20.0
_WARM_UPS = 3
_HELD = {"Prefer": "wait=20"}


def measure(bench: Bench) -> list[Row]:
    retriever = bench.kennel.retrievers.noop
    with (
        bench.naive.worker(),
        bench.kennel.worker() as worker,
        contextlib.closing(bench.naive.client()) as naive,
        contextlib.closing(bench.kennel.client(retriever.namespace_id)) as kennel,
    ):
        wait_for(
            lambda: kennel.call("GET", "/v1/health")["workers_online"], worker, START_S, "a worker online"
        )
        ways = {
            "naive, polled every 50 ms": lambda: _polled(naive, "/executions", "/executions/", 0.05),
            "naive, polled every 10 ms": lambda: _polled(naive, "/executions", "/executions/", 0.01),
            "polled every 50 ms": lambda: _polled(kennel, *_paths(retriever), 0.05),
            "held: GET with Prefer: wait": lambda: _held_get(kennel, *_paths(retriever)),
            "held: execute with Prefer: wait": lambda: _held_execute(kennel, retriever),
        }
        timed = {name: Timed(way) for name, way in ways.items()}
        for each in in_turns(_WARM_UPS, list(timed.values())):
            each.act()
        for each in in_turns(bench.effort.latency_runs, list(timed.values())):
            each.take()
    return _rows({name: each.taken_ms for name, each in timed.items()})


def _rows(taken_ms: dict[str, list[float]]) -> list[Row]:
    slow, fast = taken_ms["naive, polled every 50 ms"], taken_ms["naive, polled every 10 ms"]
    rows = []
    for name in ("polled every 50 ms", "held: GET with Prefer: wait", "held: execute with Prefer: wait"):
        target = at_most(0.25) if name.startswith("held") else None
        for share, label in ((0.5, "p50"), (0.99, "p99")):
            ours = [percentile(taken_ms[name], share)]
            group = f"latency, submit to seen complete: {name}"
            rows += [
                Row(
                    group,
                    f"{label} / naive polled every 50 ms",
                    "ms",
                    ours,
                    [percentile(slow, share)],
                    target,
                ),
                Row(group, f"{label} / naive polled every 10 ms", "ms", ours, [percentile(fast, share)]),
            ]
            target = None
    return rows


def _paths(retriever: Retriever) -> tuple[str, str]:
    return f"{retriever.path}/execute", f"{retriever.path}/executions/"


def _polled(client: Client, submit_path: str, poll_path: str, pause_s: float) -> None:
    execution_id = client.call("POST", submit_path, _BODY)["execution_id"]
    give_up_at_s = time.monotonic() + _PATIENCE_S
    while not _is_done(client.call("GET", poll_path + execution_id)):
        if time.monotonic() > give_up_at_s:
            raise BenchError(f"{poll_path}{execution_id} is not complete after {_PATIENCE_S:g} s")
        time.sleep(pause_s)


def _held_get(client: Client, submit_path: str, poll_path: str) -> None:
    execution_id = client.call("POST", submit_path, _BODY)["execution_id"]
    must_be_done(client.call("GET", poll_path + execution_id, **_HELD))


def _held_execute(client: Client, retriever: Retriever) -> None:
    must_be_done(client.call("POST", _paths(retriever)[0], _BODY, **_HELD))


def _is_done(answer: dict[str, object]) -> bool:
    if answer["status"] in _FAILED:
        raise BenchError(f"an execution ended badly: {answer}")
    return answer["status"] in _DONE


def must_be_done(answer: dict[str, object]) -> None:
    """Raises BenchError when an execution is not complete though its answer was held."""
    if not _is_done(answer):
        raise BenchError(f"a held request was answered early: {answer}")
