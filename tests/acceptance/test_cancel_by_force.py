"""Stages that do not notice a cancel, or the end of their time, in both pools of real workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.contract.scenes import keep, retriever
from tests.stack import Stack, ended, execute, gate, poll_until, stack
from tests.waiting import wait_until

GRACE_S = 0.4
# A lease that outlives the test: what is freed was freed by force.
SLOW_LEASE = {"KENNEL_LEASE_MS": "60000", "KENNEL_CANCEL_GRACE_S": str(GRACE_S)}


@contextmanager
def kennel_of(directory: Path, pool: str, **over: str) -> Iterator[tuple[Stack, httpx.Client]]:
    """One worker with a single slot."""
    with (
        stack(directory, **SLOW_LEASE, KENNEL_POOL=pool, **over) as kennel,
        kennel.namespace("forced") as client,
    ):
        kennel.start_worker(threads=1, pool="custom" if pool == "threads" else pool)
        yield kennel, client


def started(kennel: Stack, client: httpx.Client, made: str) -> str:
    """Id of an execution whose stage has begun: the record names it from the claim on."""
    execution_id = execute(client, made)
    wait_until(lambda: bool(kennel.starts(execution_id)), 30, "the stage to begin")
    return execution_id


def cancel(client: httpx.Client, made: str, execution_id: str) -> dict[str, object]:
    answer = client.post(f"/retrievers/{made}/executions/{execution_id}/cancel")
    assert answer.status_code == 200, answer.text
    receipt: dict[str, object] = answer.json()
    return receipt


def said(kennel: Stack, *words: str) -> int:
    """Lines of the worker's log that hold all of these words."""
    lines = (kennel.directory / "w1.log").read_text().splitlines()
    return sum(all(word in line for word in words) for line in lines)


def a_slot_is_free(client: httpx.Client) -> None:
    made = retriever(client, keep("genre", "eq", "crime"))
    ran = poll_until(client, made, execute(client, made), ended, "the one behind it", timeout_s=45)
    assert (ran["status"], ran["attempt"]) == ("completed", 1)


def stuck(client: httpx.Client) -> int:
    """As deep health tells it."""
    answer = client.get("/health/deep", params={"metrics": True}).json()
    count: int = answer["meta"]["metrics"]["stages_stuck"]
    return count


def metric(kennel: Stack, line: str) -> bool:
    return line in httpx.get(f"{kennel.base_url}/metrics").text.splitlines()


@pytest.mark.parametrize(("pool", "by"), [("threads", "exception"), ("prefork", "process")])
def test_a_stage_that_never_looks_gives_its_slot_back(tmp_path: Path, pool: str, by: str) -> None:
    with kennel_of(tmp_path, pool) as (kennel, client):
        made = retriever(client, gate("held", stubborn=True))
        execution_id = started(kennel, client, made)
        receipt = cancel(client, made, execution_id)
        assert (receipt["stops_after"], receipt["forced_after_s"], receipt["forced_by"]) == (
            "held",
            GRACE_S,
            by,
        )
        a_slot_is_free(client)
        seen = client.get(f"/retrievers/{made}/executions/{execution_id}").json()
        assert (seen["status"], seen["attempt"]) == ("cancelled", 1)
        assert kennel.starts(execution_id) == ["held"]
        assert said(kennel, "stage.forced", execution_id, f"by={by}") == 1
        wait_until(lambda: metric(kennel, f'kennel_stages_forced_total{{by="{by}"}} 1.0'), 20, "the count")
        assert stuck(client) == 0


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_stage_that_never_looks_at_its_time_is_ended_with_what_there_is(tmp_path: Path, pool: str) -> None:
    with kennel_of(tmp_path, pool) as (kennel, client):
        stages = keep("genre", "eq", "crime"), gate("late", stubborn=True)
        made = retriever(client, *stages, budget_limits={"max_time_ms": 600})
        seen = poll_until(client, made, execute(client, made), ended, "the end", timeout_s=45)
        assert seen["status"] == "failed"
        assert seen["error"].startswith("max_time_ms exceeded")
        assert kennel.starts(seen["execution_id"]) == ["late"]
        a_slot_is_free(client)


def test_a_call_that_does_not_return_is_told_and_keeps_its_thread_until_it_does(tmp_path: Path) -> None:
    with stack(tmp_path, **SLOW_LEASE) as kennel, kennel.namespace("forced") as client:
        kennel.start_worker(threads=2)
        os.mkfifo(kennel.signs / "deaf")
        made = retriever(client, gate("deaf", deaf=True))
        execution_id = started(kennel, client, made)
        cancel(client, made, execution_id)
        wait_until(lambda: stuck(client) == 1, 20, "it to count as stuck")
        assert metric(kennel, "kennel_stages_stuck 1.0")
        assert said(kennel, "stage.stuck", execution_id, "stage=deaf", "must_stop_for_s=") == 1
        a_slot_is_free(client)
        (kennel.signs / "deaf").open("w").close()
        wait_until(
            lambda: said(kennel, "execution.cancelled", execution_id) == 1, 20, "its thread to be free"
        )
        wait_until(lambda: stuck(client) == 0, 20, "it not to count any more")
        assert said(kennel, "stage.stuck") == 1


def test_the_time_of_a_call_that_does_not_return_is_over_all_the_same(tmp_path: Path) -> None:
    with stack(tmp_path, **SLOW_LEASE) as kennel, kennel.namespace("forced") as client:
        kennel.start_worker(threads=2)
        os.mkfifo(kennel.signs / "deaf")
        stages = keep("genre", "eq", "crime"), gate("deaf", deaf=True)
        made = retriever(client, *stages, budget_limits={"max_time_ms": 600})
        seen = poll_until(client, made, execute(client, made), ended, "the end", timeout_s=45)
        assert (seen["status"], seen["attempt"]) == ("failed", 2)
        assert seen["error"].startswith("max_time_ms exceeded")
        assert kennel.starts(seen["execution_id"]) == ["deaf"]


def test_a_worker_with_no_other_thread_stops_to_be_started_again(tmp_path: Path) -> None:
    with kennel_of(tmp_path, "threads", KENNEL_SHUTDOWN_GRACE_S="0.1") as (kennel, client):
        os.mkfifo(kennel.signs / "deaf")
        made = retriever(client, gate("deaf", deaf=True))
        cancel(client, made, started(kennel, client, made))
        worker = kennel.processes[-1]
        wait_until(lambda: worker.poll() == 0, 40, "the worker to end")
        assert said(kennel, "worker.stuck") == 1
