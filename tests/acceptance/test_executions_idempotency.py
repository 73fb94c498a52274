"""Idempotency-Key: the same request makes one execution, however often and whenever it is sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.contract.check import check_error
from tests.contract.scenes import post_execute, retriever, search, unique
from tests.stack import Stack, ended, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")
BODY: dict[str, Any] = {"inputs": {"query": "trains"}, "limit": 3}


@pytest.fixture
def made(client: httpx.Client) -> str:
    return retriever(client, search(), collection_identifiers=["books"])


def submit(
    client: httpx.Client, retriever_id: str, key: str, body: dict[str, Any] = BODY, **over: str
) -> str:
    answer = post_execute(client, retriever_id, body, Idempotency_Key=key, **over)
    assert answer.status_code == 200, answer.text
    execution_id: str = answer.json()["execution_id"]
    return execution_id


def count(client: httpx.Client, retriever_id: str) -> int:
    total: int = client.post(f"/retrievers/{retriever_id}/executions/list").json()["pagination"]["total"]
    return total


def test_quoted_bare_and_reordered_are_the_same(client: httpx.Client, made: str) -> None:
    key = unique("key")
    first = submit(client, made, key)
    assert submit(client, made, f'"{key}"') == first
    assert submit(client, made, key, {"limit": 3, "inputs": {"query": "trains"}}) == first
    assert count(client, made) == 1


def test_another_body_is_refused(client: httpx.Client, made: str) -> None:
    key = unique("key")
    submit(client, made, key)
    for body in ({**BODY, "limit": 4}, {**BODY, "inputs": {"query": "ships"}}, {}):
        envelope = check_error(post_execute(client, made, body, Idempotency_Key=key), 422)
        assert envelope.error.code == "idempotency_key_reused"
    assert count(client, made) == 1


def test_fifty_at_once_make_one_execution(client: httpx.Client, made: str) -> None:
    key = unique("key")
    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(lambda _: submit(client, made, key), range(50)))
    assert len(set(ids)) == 1
    assert count(client, made) == 1


def test_a_replay_shows_the_execution_as_it_is_now(service: Stack, client: httpx.Client) -> None:
    name, key = unique("slow"), unique("key")
    made = retriever(client, gate(name))
    first = submit(client, made, key, {})
    poll_until(client, made, first, lambda e: e["status"] == "processing", "its start")
    running = post_execute(client, made, {}, Idempotency_Key=key).json()
    assert (running["execution_id"], running["status"]) == (first, "processing")
    service.open(name)
    poll_until(client, made, first, ended, "the end")
    over = post_execute(client, made, {}, Idempotency_Key=key)
    assert (over.json()["execution_id"], over.json()["status"]) == (first, "completed")
    assert service.starts(first) == [name]


def test_a_replay_can_wait_for_the_end(client: httpx.Client, made: str) -> None:
    key = unique("key")
    first = submit(client, made, key)
    waited = post_execute(client, made, BODY, Idempotency_Key=key, Prefer="wait=20").json()
    assert (waited["execution_id"], waited["status"]) == (first, "completed")


def test_a_key_belongs_to_its_caller_namespace_and_retriever(
    service: Stack, client: httpx.Client, made: str
) -> None:
    key = unique("key")
    first = submit(client, made, key)
    other_retriever = retriever(client, search(), collection_identifiers=["books"])
    assert submit(client, other_retriever, key) != first
    with connect(service.redis_url) as server:
        secret, _ = create_key(server, unique("other"))
    assert submit(client, made, key, Authorization=f"Bearer {secret}") != first


def test_a_refused_body_does_not_use_up_the_key(client: httpx.Client, made: str) -> None:
    key = unique("key")
    check_error(post_execute(client, made, {"limit": 0}, Idempotency_Key=key), 422)
    submit(client, made, key)
