"""Real workers measure exactly what they run, and the books balance when they are done."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.stack import Stack, create_retriever, ended, execute, gate, kill, poll_until, stack
from tests.waiting import wait_until

FAIL = {"stage_name": "fails", "config": {"stage_id": "test_fail", "parameters": {}}}


def metrics(service: Stack) -> dict[tuple[str, ...], float]:
    """(name, label values …) -> value."""
    text = httpx.get(f"{service.base_url}/metrics").raise_for_status().text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def wait_for(service: Stack, expected: dict[tuple[str, ...], float]) -> None:
    """Until heartbeats have brought these values, which must then be exact."""

    def flushed() -> bool:
        seen.clear()
        seen.update(metrics(service))
        return all(seen.get(name, 0) >= value for name, value in expected.items())

    seen: dict[tuple[str, ...], float] = {}
    wait_until(flushed, 20, f"the metrics {expected}")
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize("pool", ["custom", "prefork"])
def test_what_ran_is_counted_once(tmp_path: Path, pool: str) -> None:
    with stack(tmp_path) as service, service.namespace("demo") as client:
        worker = service.start_worker("counter", pool=pool)
        service.open("one")
        create_retriever(client, "works", [gate("one"), gate("one") | {"stage_name": "two"}])
        create_retriever(client, "fails", [FAIL])
        done = [("works", execute(client, "works")) for _ in range(6)]
        done += [("fails", execute(client, "fails")) for _ in range(2)]
        for retriever, execution_id in done:
            poll_until(client, retriever, execution_id, ended, "the end")
        worker.terminate()  # what its processes have not sent yet, they send when they stop
        worker.wait(20)
        wait_for(
            service,
            {
                ("kennel_executions_submitted_total",): 8,
                ("kennel_executions_total", "completed"): 6,
                ("kennel_executions_total", "failed"): 2,
                ("kennel_attempts_total",): 8,
                ("kennel_queue_wait_seconds_count",): 8,
                ("kennel_execution_seconds_count", "completed"): 6,
                ("kennel_execution_seconds_count", "failed"): 2,
                ("kennel_stage_seconds_count", "test_gate"): 12,
                ("kennel_stage_seconds_count", "test_fail"): 2,
                ("kennel_stage_errors_total", "test_fail"): 2,
                ("kennel_stale_writes_refused_total",): 0,
                ("kennel_books_balanced",): 1,
            },
        )
        stats = client.get("/stats").json()
        assert (stats["submitted"], stats["completed"], stats["failed"]) == (8, 6, 2)


@pytest.mark.slow
def test_what_the_sweep_recovers_is_counted(tmp_path: Path) -> None:
    with stack(tmp_path) as service, service.namespace("demo") as client:
        doomed = service.start_worker("doomed")
        create_retriever(client, "held", [gate("one")])
        held = [execute(client, "held") for _ in range(3)]
        wait_until(lambda: all(service.starts(each) for each in held), 20, "all to run")
        kill(doomed)
        service.open("one")
        service.start_worker("heir")
        for execution_id in held:
            poll_until(client, "held", execution_id, ended, "the end")
        wait_for(
            service,
            {
                ("kennel_sweep_requeued_total",): 3,
                ("kennel_requeued_total",): 3,
                ("kennel_attempts_total",): 6,
                ("kennel_execution_seconds_count", "completed"): 3,
                ("kennel_sweep_failed_total",): 0,
                ("kennel_workers_online",): 1,
            },
        )
        assert metrics(service)["kennel_sweeps_total",] > 0
