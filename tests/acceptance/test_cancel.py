"""Cancelling an execution with real workers: at once, for good, and noticed by whoever runs it."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_adhoc, check_error, check_execution
from tests.contract.scenes import busy, keep, read, retriever, run, unique
from tests.stack import FAST, Stack, ended, execute, gate, kill, poll_until, stack
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("books")


def cancel(client: httpx.Client, made: str, execution_id: str) -> httpx.Response:
    return client.post(f"/retrievers/{made}/executions/{execution_id}/cancel")


def outcome(answer: httpx.Response, execution_id: str) -> tuple[str, str, str | None]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {"execution_id", "status", "outcome", "stops_after", "forced_after_s", "forced_by"}
    assert (body["forced_after_s"] is None) == (body["forced_by"] is None) == (body["outcome"] != "stopping")
    assert body["execution_id"] == execution_id
    return body["status"], body["outcome"], body["stops_after"]


def processing(execution: dict[str, Any]) -> bool:
    return bool(execution["status"] == "processing")


def at_stage(client: httpx.Client, made: str, execution_id: str, stage: str) -> None:
    poll_until(client, made, execution_id, lambda seen: seen["current_stage"] == stage, f"stage {stage}")


def stopped(kennel: Stack, worker: str, execution_id: str) -> None:
    """Return once the worker's log says that it let go of the cancelled execution."""
    log = kennel.directory / f"{worker}.log"

    def said() -> bool:
        lines = log.read_text().splitlines()
        return any("execution.cancelled" in line and execution_id in line for line in lines)

    wait_until(said, 15, "the worker to stop")


def test_unknown_foreign_and_misplaced_executions_are_404(service: Stack, client: httpx.Client) -> None:
    made, other = retriever(client, gate(unique("g"))), retriever(client, gate(unique("g")))
    execution_id = execute(client, made)
    for path in (
        f"{made}/executions/exec_unknown",
        f"{made}/executions/no%20id",
        f"{other}/executions/{execution_id}",
        f"executions/{execution_id}",
        f"ret_unknown/executions/{execution_id}",
    ):
        check_error(client.post(f"/retrievers/{path}/cancel"), 404)
    with service.namespace(unique("foreign")) as stranger:
        check_error(cancel(stranger, made, execution_id), 404)
    assert not ended(read(client, made, execution_id).json())
    assert outcome(cancel(client, made, execution_id), execution_id)[0] == "cancelled"


def test_a_pending_execution_is_removed_and_never_starts(service: Stack, client: httpx.Client) -> None:
    name = unique("never")
    made = retriever(client, gate(name))
    with busy(service, client):
        execution_id = execute(client, made)
        assert outcome(cancel(client, made, execution_id), execution_id) == (
            "cancelled", "removed_from_queue", None,
        )  # fmt: skip
        seen = check_execution(read(client, made, execution_id).json())
        assert (seen.status, seen.error) == ("cancelled", "cancelled on request")
    assert run(client, retriever(client, keep("genre", "eq", "crime")))["status"] == "completed"
    assert service.starts(execution_id) == []


def test_a_running_execution_keeps_what_it_had_and_its_thread_is_free_again(
    service: Stack, client: httpx.Client
) -> None:
    name = unique("held")
    made = retriever(client, keep("genre", "eq", "crime"), gate(name), gate(unique("later")))
    execution_id = execute(client, made)
    at_stage(client, made, execution_id, name)
    assert outcome(cancel(client, made, execution_id), execution_id) == ("cancelled", "stopping", name)
    answer = read(client, made, execution_id).json()
    seen = check_execution(answer)
    assert (seen.status, seen.stages_completed) == ("cancelled", 1)
    assert list(seen.stage_statistics.stages) == ["keep"]
    assert seen.stage_statistics.credits_used == seen.budget.credits_used > 0
    stopped(service, "service", execution_id)
    assert service.starts(execution_id) == [name]
    assert read(client, made, execution_id).json() == answer
    listed = client.post(f"/retrievers/{made}/executions/list", json={"status": "cancelled"}).json()
    assert [each["execution_id"] for each in listed["results"]] == [execution_id]
    assert listed["results"][0]["credits_used"] == seen.budget.credits_used


def test_a_stage_that_never_looks_cannot_write_its_end(service: Stack, client: httpx.Client) -> None:
    name = unique("stubborn")
    made = retriever(client, gate(name, stubborn=True))
    execution_id = execute(client, made)
    poll_until(client, made, execution_id, processing, "its start")
    cancel(client, made, execution_id)
    before = read(client, made, execution_id).json()
    service.open(name)
    stopped(service, "service", execution_id)
    assert read(client, made, execution_id).json() == before


@pytest.mark.parametrize("times", [1, 2])
def test_an_ended_execution_is_already_terminal(client: httpx.Client, times: int) -> None:
    made = retriever(client, keep("genre", "eq", "crime"))
    before = run(client, made)
    for _ in range(times):
        answer = cancel(client, made, before["execution_id"])
        assert outcome(answer, before["execution_id"]) == ("completed", "already_terminal", None)
    assert read(client, made, before["execution_id"]).json() == before


def test_an_expired_execution_is_410(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, keep("genre", "eq", "crime"))
    execution_id = run(client, made)["execution_id"]
    with connect(service.redis_url) as redis:
        redis.delete(keys.execution(execution_id))
    check_error(cancel(client, made, execution_id), 410)


def test_one_of_many_cancels_removes_it(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, gate(unique("never")))
    with busy(service, client):
        execution_id = execute(client, made)
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: cancel(client, made, execution_id), range(20)))
    outcomes = [outcome(each, execution_id)[1] for each in answers]
    assert outcomes.count("removed_from_queue") == 1
    assert outcomes.count("already_terminal") == 19


def test_an_adhoc_execution_is_cancelled_by_its_own_path(client: httpx.Client) -> None:
    name = unique("adhoc")
    execution_id = client.post("/retrievers/execute", json={"stages": [gate(name)]}).json()["execution_id"]
    path = f"/retrievers/executions/{execution_id}"
    wait_until(lambda: processing(client.get(path).json()), 20, "its start")
    assert outcome(client.post(f"{path}/cancel"), execution_id) == ("cancelled", "stopping", name)
    assert check_adhoc(client.get(path).json()).status == "cancelled"


def test_a_held_poll_ends_with_the_cancel(client: httpx.Client) -> None:
    made = retriever(client, gate(unique("held")))
    execution_id = execute(client, made)
    poll_until(client, made, execution_id, processing, "its start")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(read, client, made, execution_id, Prefer="wait=25")
        cancel(client, made, execution_id)
        assert held.result(20).json()["status"] == "cancelled"


def test_its_worker_hears_of_it_before_the_heartbeat_and_needs_not_be_there(tmp_path: Path) -> None:
    """The heartbeat is slow here: only the publication can have told the worker."""
    slow = {**FAST, "KENNEL_HEARTBEAT_MS": "20000", "KENNEL_LEASE_MS": "60000"}
    with stack(tmp_path, **slow) as kennel, kennel.namespace("cancelling") as client:
        worker = kennel.start_worker()
        never, held = retriever(client, gate("never")), retriever(client, gate("held"))
        running = execute(client, held)
        poll_until(client, held, running, processing, "its claim")
        wait_until(lambda: kennel.starts(running) == ["held"], 20, "its start")
        assert outcome(cancel(client, held, running), running) == ("cancelled", "stopping", "held")
        stopped(kennel, "w1", running)
        kill(worker, signal.SIGKILL)
        waiting = execute(client, never)
        assert outcome(cancel(client, never, waiting), waiting)[1] == "removed_from_queue"
        kennel.start_worker("w2")
        kennel.open("held")
        assert ended(read(client, held, running).json())
        again = execute(client, held)
        poll_until(client, held, again, ended, "the one behind it")
        assert kennel.starts(waiting) == []
        assert kennel.starts(running) == ["held"]
