"""Classes and limits as a client sees them, with real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Stack, create_retriever, ended, execute, gate, poll_until, stack

BUSY = 8  # threads of the one worker


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory: Path = tmp_path_factory.mktemp("queues")
    with stack(directory) as running:
        running.start_worker(threads=BUSY)
        yield running


def submit(client: httpx.Client, retriever: str, **body: Any) -> httpx.Response:
    return client.post(f"/retrievers/{retriever}/execute", json={"inputs": {}, **body})


def hold_every_thread(client: httpx.Client, name: str) -> None:
    """Until the gate of this name is opened."""
    blocking = create_retriever(client, name, [gate(name)])
    running = [execute(client, blocking) for _ in range(BUSY)]
    for each in running:
        poll_until(client, blocking, each, lambda now: now["status"] == "processing", "the start")


def started_at(client: httpx.Client, retriever: str, execution_id: str) -> str:
    seen = poll_until(client, retriever, execution_id, ended, "the end")
    assert seen["status"] == "completed"
    started: str = seen["started_at"]
    return started


def test_an_interactive_one_overtakes_the_bulk_of_others(service: Stack) -> None:
    with service.namespace("many") as many, service.namespace("one") as one:
        _overtakes(service, many, one)


def _overtakes(service: Stack, many: httpx.Client, one: httpx.Client) -> None:
    hold_every_thread(many, "overtaken")
    plain = create_retriever(many, "plain", [gate("bulk_work")])
    service.open("bulk_work")
    bulk = [submit(many, plain, priority="bulk").json()["execution_id"] for _ in range(200)]
    quick = create_retriever(one, "quick", [gate("bulk_work")])
    wanted = submit(one, quick, priority="interactive").json()["execution_id"]
    service.open("overtaken")
    first = started_at(one, quick, wanted)
    before = sum(started_at(many, plain, each) < first for each in bulk)
    assert before <= BUSY


def test_a_namespace_runs_no_more_than_it_may_and_is_refused_beyond_what_may_wait(service: Stack) -> None:
    with service.namespace("limited") as limited, service.namespace("free") as free:
        _limited(service, limited, free)


def _limited(service: Stack, limited: httpx.Client, free: httpx.Client) -> None:
    name = limited.headers["X-Namespace"]
    put = limited.put(f"/namespaces/{name}/limits", json={"running": 2, "waiting": 3})
    assert put.status_code == 200
    assert limited.get(f"/namespaces/{name}/limits").json() == put.json()
    assert (put.json()["running"], put.json()["waiting"]) == (2, 3)
    blocking = create_retriever(limited, "limited", [gate("limited")])
    first = [execute(limited, blocking) for _ in range(2)]
    for each in first:
        poll_until(limited, blocking, each, lambda now: now["status"] == "processing", "the start")
    waiting = [execute(limited, blocking) for _ in range(3)]
    refused = submit(limited, blocking)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "namespace_queue_full"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    for each in waiting:
        seen = limited.get(f"/retrievers/{blocking}/executions/{each}").json()
        assert (seen["status"], seen["wait_reason"]) == ("pending", "namespace_turn")
    other = create_retriever(free, "free", [gate("free")])
    service.open("free")
    poll_until(free, other, execute(free, other), ended, "the end of one that is not limited")
    service.open("limited")
    for each in first + waiting:
        assert poll_until(limited, blocking, each, ended, "the end")["status"] == "completed"


def test_only_an_admin_sets_limits_and_only_sensible_ones(service: Stack) -> None:
    with service.namespace("walls") as client:
        path = f"/namespaces/{client.headers['X-Namespace']}/limits"
        assert client.put(path, json={"running": 0}).status_code == 422
        assert client.put("/namespaces/nowhere/limits", json={"running": 1}).status_code == 404
        assert (
            submit(client, create_retriever(client, "any", [gate("free")]), priority="urgent").status_code
            == 422
        )
