"""Namespaces: created, found, listed, deleted with all they hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from shared import keys
from shared.settings import Settings
from tests.conftest import serve
from tests.integration.api.answers import ok, places, refused, retriever
from tests.waiting import wait_until


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A namespace name of this test's own."""
    return f"ns {abs(hash(request.node.nodeid)):x}"


def test_a_namespace_is_found_by_id_and_by_name(root: httpx.Client, name: str) -> None:
    created = ok(root.post("/v1/namespaces", json={"namespace_name": name, "description": "d"}))
    assert created["namespace_id"].startswith("ns_")
    assert created["namespace_ready"] is True
    by_id = ok(root.get(f"/v1/namespaces/{created['namespace_id']}"))
    assert by_id == ok(root.get(f"/v1/namespaces/{name}"))
    assert (by_id["description"], by_id["document_count"], by_id["collection_count"]) == ("d", 0, 0)


def test_counts_are_those_of_all_collections(root: httpx.Client, api: httpx.Client, books: str) -> None:
    seen = ok(root.get(f"/v1/namespaces/{api.headers['X-Namespace']}"))
    assert (seen["collection_count"], seen["document_count"]) == (1, 3)


def test_a_chosen_id_is_kept_and_unique(root: httpx.Client, name: str) -> None:
    chosen = name.replace(" ", "_")
    assert (
        ok(root.post("/v1/namespaces", json={"namespace_name": name, "namespace_id": chosen}))["namespace_id"]
        == chosen
    )
    again = root.post("/v1/namespaces", json={"namespace_name": "another", "namespace_id": chosen})
    assert refused(again, 409)["code"] == "namespace_id_taken"


def test_one_of_fifty_creates_of_an_id_wins(root: httpx.Client, name: str) -> None:
    def create(n: int) -> httpx.Response:
        return root.post(
            "/v1/namespaces", json={"namespace_name": f"{name} {n}", "namespace_id": "chosen_once"}
        )

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(create, range(50)))
    winners = [answer for answer in answers if answer.status_code == 200]
    assert len(winners) == 1
    assert {refused(answer, 409)["code"] for answer in answers if answer not in winners} == {
        "namespace_id_taken"
    }
    seen = ok(root.get("/v1/namespaces/chosen_once"))["namespace_name"]
    assert seen == winners[0].json()["namespace_name"]


def test_an_id_that_is_anothers_name_is_refused(root: httpx.Client, name: str) -> None:
    taken = name.replace(" ", "_")
    ok(root.post("/v1/namespaces", json={"namespace_name": taken}))
    response = root.post("/v1/namespaces", json={"namespace_name": "abc", "namespace_id": taken})
    assert refused(response, 409)["code"] == "namespace_id_taken"


def test_an_id_that_is_being_deleted_is_refused(
    root: httpx.Client, redis_client: redis.Redis, name: str
) -> None:
    going = name.replace(" ", "_")
    redis_client.hset(keys.DELETING, going, "task")
    response = root.post("/v1/namespaces", json={"namespace_name": name, "namespace_id": going})
    assert refused(response, 409)["code"] == "namespace_being_deleted"
    redis_client.hdel(keys.DELETING, going)
    ok(root.post("/v1/namespaces", json={"namespace_name": name, "namespace_id": going}))


def test_one_of_fifty_creates_of_a_name_wins(root: httpx.Client, name: str) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: root.post("/v1/namespaces", json={"namespace_name": name}), range(50))
        )
    assert [answer.status_code for answer in answers].count(200) == 1
    codes = [refused(answer, 409)["code"] for answer in answers if answer.status_code != 200]
    assert codes == ["namespace_name_taken"] * 49


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["namespace_name"]),
        ({"namespace_name": "ab"}, ["namespace_name"]),
        ({"namespace_name": "x" * 65}, ["namespace_name"]),
        ({"namespace_name": "a\nb"}, ["namespace_name"]),
        ({"namespace_name": "abc", "namespace_id": "-x"}, ["namespace_id"]),
        ({"namespace_name": "abc", "mode": "other"}, ["mode"]),
        ({"namespace_name": "abc", "ttl_seconds": 60}, ["ttl_seconds"]),
        ({"namespace_name": "abc", "vector_configs": {}}, ["vector_configs"]),
    ],
)
def test_what_does_not_fit_is_422_at_its_place(root: httpx.Client, body: Any, place: list[str]) -> None:
    assert places(refused(root.post("/v1/namespaces", json=body), 422)) == [place]


def test_unknown_keys_are_named(root: httpx.Client, name: str) -> None:
    created = ok(root.post("/v1/namespaces", json={"namespace_name": name, "colour": "red"}))
    assert created["warnings"] == ["the key 'colour' is unknown and was ignored"]


def test_lists_are_newest_first_and_searched(root: httpx.Client, name: str) -> None:
    ids = [
        ok(root.post("/v1/namespaces", json={"namespace_name": f"{name} {n}"}))["namespace_id"]
        for n in range(3)
    ]
    listed = ok(root.post("/v1/namespaces/list", json={"search": name.upper()}))
    assert [each["namespace_id"] for each in listed["results"]] == ids[::-1]
    assert listed["total_count"] == 3
    assert listed == ok(root.get("/v1/namespaces", params={"search": name}))


def test_deletion_hides_at_once_and_purges_everything(
    root: httpx.Client, api: httpx.Client, books: str, settings: Settings, redis_client: redis.Redis
) -> None:
    namespace = api.headers["X-Namespace"]
    created = ok(api.post("/v1/retrievers", json=retriever("r", collection_identifiers=["books"])))
    folder = settings.data_dir / "documents" / namespace
    assert folder.is_dir()
    deleted = ok(root.delete(f"/v1/namespaces/{namespace}"))
    assert deleted["task_id"]
    refused(root.get(f"/v1/namespaces/{namespace}"), 404)
    refused(api.get("/v1/collections/books"), 404)
    wait_until(lambda: not redis_client.hexists(keys.DELETING, namespace), 10, "the purge to end")
    assert not folder.exists()
    assert not redis_client.exists(keys.resource("retriever", created["retriever_id"]))
    assert not redis_client.exists(keys.resource("collection", books))
    assert redis_client.ttl(keys.definition(created["retriever_id"], 1)) > 0
    refused(root.delete(f"/v1/namespaces/{namespace}"), 404)


def test_a_start_finishes_an_interrupted_purge(
    settings: Settings, api: httpx.Client, books: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    namespace = api.headers["X-Namespace"]
    # What a crash right after hiding leaves behind.
    redis_client.hset(keys.DELETING, namespace, "task")
    with serve(settings):
        wait_until(lambda: not redis_client.hexists(keys.DELETING, namespace), 10, "the purge to end")
    assert not redis_client.exists(keys.resource("collection", books))
    assert not (settings.data_dir / "documents" / namespace).exists()
