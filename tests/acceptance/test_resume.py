"""A crashed execution goes on where it stood, and what it had found can be read at every moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_execution
from tests.contract.scenes import BY_YEAR, book, document_ids, failing, keep, unique, write
from tests.stack import Stack, create_retriever, ended, execute, gate, kill, poll_until
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
RECENT = keep("year", "gte", 1990)


@pytest.fixture(scope="module")
def client(kennel: Stack) -> Iterator[httpx.Client]:
    with worker(kennel):
        pass  # it has published the catalogue
    with kennel.namespace("resume") as client:
        made = client.post("/collections", json={"collection_name": "books"})
        made.raise_for_status()
        write(client, "books", [book(number) for number in range(45)])
        yield client


@contextmanager
def worker(kennel: Stack, **options: Any) -> Iterator[Any]:
    process = kennel.start_worker(unique("resume"), **options)
    try:
        yield process
    finally:
        kill(process)


def read(client: httpx.Client, made: str, execution_id: str, **query: Any) -> dict[str, Any]:
    seen: dict[str, Any] = client.get(f"/retrievers/{made}/executions/{execution_id}", params=query).json()
    check_execution(seen)
    return seen


def partial_from(client: httpx.Client, made: str, execution_id: str, stage: str) -> dict[str, Any]:
    def shows(seen: dict[str, Any]) -> bool:
        return bool(seen["is_partial"]) and seen["partial_from_stage"] == stage

    return poll_until(client, made, execution_id, shows, f"the documents of {stage}")


def checkpoints(kennel: Stack, execution_id: str) -> int:
    with connect(kennel.redis_url) as redis:
        return int(redis.exists(keys.checkpoint(execution_id)))


def test_a_killed_worker_costs_no_finished_stage(kennel: Stack, client: httpx.Client) -> None:
    first, second = unique("first"), unique("second")
    stages = [RECENT, gate(first), BY_YEAR, gate(second)]
    made = create_retriever(client, unique("resumed"), stages)
    with worker(kennel) as killed:
        execution_id = execute(client, made)
        wait_until(lambda: kennel.starts(execution_id) == [first], 30, "the first gate")
        kennel.open(first)
        seen = partial_from(client, made, execution_id, "sort")
        assert (seen["status"], seen["current_stage"], seen["attempt"]) == ("processing", second, 1)
        kill(killed)
    with worker(kennel):
        wait_until(lambda: kennel.starts(execution_id) == [first, second, second], 30, "the second attempt")
        running = poll_until(
            client, made, execution_id, lambda seen: seen["resumed_from_stage"] == second, "its progress"
        )
        assert (running["attempt"], running["stages_completed"]) == (2, 3)
        kennel.open(second)
        last = poll_until(client, made, execution_id, ended, "the end")
    assert (last["status"], last["resumed_from_stage"], last["is_partial"]) == ("completed", second, False)
    assert kennel.starts(execution_id) == [first, second, second]
    assert last["documents"] == running["documents"] != []
    entries = last["stage_statistics"]["stages"]
    assert list(entries) == ["keep", first, "sort", second]
    paid = sum(0.01 + 0.0001 * entry["input_count"] for entry in entries.values())
    assert last["stage_statistics"]["credits_used"] == pytest.approx(paid)
    assert checkpoints(kennel, execution_id) == 0


@pytest.mark.slow
def test_a_stopping_worker_hands_over_what_it_has_done(kennel: Stack, client: httpx.Client) -> None:
    first, second = unique("first"), unique("second")
    made = create_retriever(client, unique("handed"), [gate(first), gate(second)])
    with worker(kennel, KENNEL_SHUTDOWN_GRACE_S="0.2") as stopping:
        execution_id = execute(client, made)
        wait_until(lambda: kennel.starts(execution_id) == [first], 30, "the first gate")
        kennel.open(first)
        wait_until(lambda: kennel.starts(execution_id) == [first, second], 30, "the second gate")
        stopping.terminate()
        stopping.wait(30)
    kennel.open(second)
    with worker(kennel):
        last = poll_until(client, made, execution_id, ended, "the end")
    assert (last["status"], last["attempt"], last["resumed_from_stage"]) == ("completed", 1, second)
    assert kennel.starts(execution_id) == [first, second, second]


def test_what_was_found_stays_readable_after_a_cancel(kennel: Stack, client: httpx.Client) -> None:
    held = unique("held")
    made = create_retriever(client, unique("cancelled"), [RECENT, BY_YEAR, gate(held)])
    with worker(kennel):
        execution_id = execute(client, made, limit=5)
        seen = partial_from(client, made, execution_id, "sort")
        client.post(f"/retrievers/{made}/executions/{execution_id}/cancel").raise_for_status()
    last = read(client, made, execution_id)
    assert (last["status"], last["is_partial"], last["partial_from_stage"]) == ("cancelled", True, "sort")
    assert document_ids(last) == document_ids(seen)
    assert (len(last["documents"]), last["pagination"]["returned"]) == (5, 5)
    assert last["pagination"]["total"] > 5
    without = read(client, made, execution_id, partial_results="false")
    assert (without["documents"], without["is_partial"], without["partial_from_stage"]) == ([], False, None)
    refused = client.get(f"/retrievers/{made}/executions/{execution_id}", params={"partial_results": "maybe"})
    assert refused.status_code == 422


def test_batches_show_what_was_found_too(kennel: Stack, client: httpx.Client) -> None:
    held = unique("held")
    made = create_retriever(client, unique("batched"), [RECENT, BY_YEAR, gate(held)])
    queries = {"queries": [{"inputs": {}}], "settings": {"limit": 5}}
    asked = {"json": queries, "headers": {"Idempotency-Key": unique("key")}}

    def batch() -> dict[str, Any]:
        [result] = client.post(f"/retrievers/{made}/execute/batch", **asked).json()["results"]
        return dict(result)

    with worker(kennel):
        upload = client.post(f"/batches?retriever={made}", content=b'{"inputs": {}}\n').json()
        [line] = _lines(client, upload["batch_id"])
        for execution_id in (batch()["execution_id"], line["execution_id"]):
            partial_from(client, made, execution_id, "sort")
        running = batch()
        assert (running["status"], running["partial_from_stage"]) == ("processing", "sort")
        for execution_id in (running["execution_id"], line["execution_id"]):
            client.post(f"/retrievers/{made}/executions/{execution_id}/cancel").raise_for_status()
    [line] = _lines(client, upload["batch_id"])
    for shown, count in ((batch(), 5), (line, 20)):
        assert (shown["status"], shown["is_partial"], len(shown["documents"])) == ("cancelled", True, count)
        assert document_ids(shown) == document_ids(read(client, made, shown["execution_id"]))


def _lines(client: httpx.Client, batch_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.get(f"/batches/{batch_id}/results").text.splitlines()]


def test_a_failure_keeps_the_documents_of_the_stage_before_it(kennel: Stack, client: httpx.Client) -> None:
    made = create_retriever(client, unique("failed"), [RECENT, BY_YEAR, failing()])
    whole = create_retriever(client, unique("whole"), [RECENT, BY_YEAR])
    with worker(kennel):
        last = poll_until(client, made, execution_id := execute(client, made), ended, "the failure")
        good = poll_until(client, whole, execute(client, whole), ended, "the end")
    assert (last["status"], last["is_partial"], last["partial_from_stage"]) == ("failed", True, "sort")
    assert document_ids(last) == document_ids(good)
    assert last["pagination"]["total"] == good["pagination"]["total"]
    cursor = last["pagination"]["cursor"]
    further = read(client, made, execution_id, cursor=cursor)
    assert document_ids(further) == document_ids(read(client, whole, good["execution_id"], offset=20))
    assert checkpoints(kennel, execution_id) == 0


def test_best_so_far_at_the_deadline(kennel: Stack, client: httpx.Client) -> None:
    held = unique("held")
    limits = {"max_time_ms": 400, "on_deadline": "partial"}
    stages = [RECENT, BY_YEAR, gate(held), BY_YEAR | {"stage_name": "again"}]
    made = create_retriever(client, unique("deadline"), stages, budget_limits=limits)
    assert client.get(f"/retrievers/{made}").json()["budget_limits"] == {"max_credits": None, **limits}
    with worker(kennel):
        last = poll_until(client, made, execute(client, made), ended, "the deadline")
    assert (last["status"], last["error"], last["partial_from_stage"]) == ("degraded", None, "sort")
    assert [each["year"] for each in (d["payload"] for d in last["documents"])][:1] == [1990]
    assert [each["stage"] for each in last["degraded"]] == ["sort"]
    assert last["degraded"][0]["reason"].startswith("max_time_ms exceeded")
