"""One request for many executions: what has changed, what is not found, and holding it until then."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_error
from tests.contract.scenes import busy, read, retriever, run, search, unique
from tests.stack import Stack, ended, execute, gate, poll_until
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("books")


def watch(client: httpx.Client, known: Mapping[str, int | None], wait_s: float = 0) -> dict[str, Any]:
    body = {"executions": [{"execution_id": each, "revision": seen} for each, seen in known.items()]}
    answer = client.post(
        "/executions/watch", json=body, headers={"Prefer": f"wait={wait_s}"} if wait_s else {}
    )
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def test_all_that_the_client_does_not_know(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    first, second = run(client, made), run(client, made)
    ids = [each["execution_id"] for each in (first, second)]
    seen = watch(client, dict.fromkeys(ids))
    assert [each["execution_id"] for each in seen["changed"]] == ids
    for short, whole in zip(seen["changed"], (first, second), strict=True):
        assert short == {name: whole[name] for name in short}
        assert "documents" not in short
    assert watch(client, {ids[0]: first["revision"], ids[1]: 1}) == {
        "changed": [seen["changed"][1]],
        "not_found": [],
    }


def test_it_is_held_until_one_changes(service: Stack, client: httpx.Client) -> None:
    name = unique("gate")
    made = retriever(client, gate(name))
    still = run(client, retriever(client, search("trains")))
    execution_id = execute(client, made)
    before = poll_until(client, made, execution_id, lambda e: e["status"] == "processing", "a start")
    known = {still["execution_id"]: still["revision"], execution_id: before["revision"]}
    with ThreadPoolExecutor(1) as aside, connect(service.redis_url) as server:
        held = aside.submit(watch, client, known, 20)
        wait_until(
            lambda: server.hexists(keys.execution(execution_id), "watchers"), 20, "the request to be held"
        )
        service.open(name)
        seen = held.result()
    (changed,) = seen["changed"]
    assert (changed["execution_id"], changed["status"]) == (execution_id, "completed")


def test_without_a_change_it_is_held_to_the_end(service: Stack, client: httpx.Client) -> None:
    name = unique("gate")
    made = retriever(client, gate(name))
    execution_id = execute(client, made)
    before = poll_until(client, made, execution_id, lambda e: e["status"] == "processing", "a start")
    nothing = {"changed": [], "not_found": []}
    assert watch(client, {execution_id: before["revision"]}, 0.2) == nothing
    service.open(name)
    after = poll_until(client, made, execution_id, ended, "the end")
    assert watch(client, {execution_id: after["revision"]}, 60) == nothing  # at once: nothing can change


def test_pending_ones_tell_their_place(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    with busy(service, client):
        ids = [execute(client, made) for _ in range(2)]
        seen = watch(client, dict.fromkeys(ids))["changed"]
    assert [(each["wait_reason"], each["queue_position"]) for each in seen] == [("queued", 1), ("queued", 2)]
    for execution_id in ids:
        poll_until(client, made, execution_id, ended, "the end")


def test_an_adhoc_one_and_strangers(service: Stack, client: httpx.Client) -> None:
    adhoc = client.post("/retrievers/execute", json={"stages": [search("x")]}).json()["execution_id"]
    with service.namespace(unique("other")) as stranger:
        assert watch(stranger, {adhoc: None}, 20) == {"changed": [], "not_found": [adhoc]}
    seen = watch(client, {adhoc: None, "exec_unknown": 3, "nonsense": None})
    assert seen["not_found"] == ["exec_unknown", "nonsense"]
    assert [(each["execution_id"], each["retriever_id"]) for each in seen["changed"]] == [(adhoc, "")]


def test_a_thousand_in_one_round_trip(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    known = run(client, made)
    many = {f"exec_{number}": None for number in range(999)} | {known["execution_id"]: None}
    with connect(service.redis_url) as server:
        before = server.info("commandstats")["cmdstat_fcall"]["calls"]
        seen = watch(client, many)
        after = server.info("commandstats")["cmdstat_fcall"]["calls"]
    assert (len(seen["changed"]), len(seen["not_found"])) == (1, 999)
    assert after - before < 20  # the worker's heartbeats and sweeps among them
    assert read(client, made, known["execution_id"]).json()["revision"] == seen["changed"][0]["revision"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "executions"),
        ({"executions": []}, "executions"),
        ({"executions": [{"execution_id": "x"}] * 1001}, "executions"),
        ({"executions": ["exec_a"]}, "executions[0]"),
        ({"executions": [{"revision": 1}]}, "executions[0].execution_id"),
        ({"executions": [{"execution_id": "x", "revision": -1}]}, "executions[0].revision"),
        ({"executions": [{"execution_id": "x", "revision": "1"}]}, "executions[0].revision"),
    ],
)
def test_a_bad_list_is_refused(client: httpx.Client, body: dict[str, Any], place: str) -> None:
    assert place in check_error(client.post("/executions/watch", json=body), 422).error.message
