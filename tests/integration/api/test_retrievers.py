"""Retrievers: checked against the catalogue, stored with a snapshot, deleted with what waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest
import redis

from shared import keys
from shared.redis_sync import connect
from shared.settings import Settings
from tests.conftest import API_KEY, serve
from tests.integration.api.answers import ok, places, refused, retriever
from tests.servers import redis_server


def _create(api: httpx.Client, name: str, **over: Any) -> dict[str, Any]:
    created: dict[str, Any] = ok(api.post("/v1/retrievers", json=retriever(name, **over)))
    return created


def test_a_retriever_is_found_by_id_and_by_name(api: httpx.Client, books: str) -> None:
    created = _create(
        api,
        "by year",
        collection_ids=["books", books],
        input_schema={"query": {"type": "text", "required": True}},
        budget_limits={"max_credits": 1.5},
        tags=["t"],
        metadata={"k": 1},
    )
    assert created["collection_ids"] == created["collection_identifiers"] == [books]
    stage = created["stages"][0]
    assert (stage["stage_type"], stage["parameters"]) == ("sort", stage["config"]["parameters"])
    assert (created["version"], created["fusion"], created["created_by"]) == (1, None, "admin-key")
    assert created["budget_limits"] == {"max_credits": 1.5, "max_time_ms": None}
    assert (
        ok(api.get("/v1/retrievers/by year"))
        == ok(api.get(f"/v1/retrievers/{created['retriever_id']}"))
        == created
    )


@pytest.mark.parametrize(
    ("path", "body"), [("execute", {"inputs": {}}), ("execute/batch", {"queries": [{"inputs": {}}]})]
)
def test_a_key_is_the_new_retriever_s_where_the_old_one_is_still_remembered(
    api: httpx.Client, settings: Settings, books: str, path: str, body: dict[str, Any]
) -> None:
    """Another process replaced the retriever of this name a moment ago."""
    _create(api, "replaced")
    ok(api.post("/v1/retrievers/replaced/execute", json={}))  # now this process knows it
    with serve(settings) as url, httpx.Client(base_url=url, headers=api.headers) as other:
        ok(other.delete("/v1/retrievers/replaced"))
        created = _create(other, "replaced")
        key = {"Idempotency-Key": "once"}
        answers = [ok(api.post(f"/v1/retrievers/replaced/{path}", json=body, headers=key)) for _ in range(2)]
    first, second = (answer.get("results", [answer])[0]["execution_id"] for answer in answers)
    assert first == second
    listed = ok(api.post(f"/v1/retrievers/{created['retriever_id']}/executions/list"))
    assert listed["pagination"]["total"] == 1


def test_the_snapshot_holds_what_a_worker_needs(
    api: httpx.Client, books: str, redis_client: redis.Redis
) -> None:
    created = _create(api, "r", collection_identifiers=["books"])
    snapshot = orjson.loads(redis_client.get(keys.definition(created["retriever_id"], 1)) or b"")
    assert snapshot["namespace_id"] == api.headers["X-Namespace"]
    assert snapshot["collection_ids"] == [books]
    assert snapshot["stages"] == [
        {
            "stage_name": "sorted",
            "stage_id": "sort_attribute",
            "stage_type": "sort",
            "parameters": {"field": "year", "direction": "desc"},
            "pre_filters": None,
            "on_error": "error",
            "description": None,
            "output_alias": None,
        }
    ]


def test_a_name_with_a_slash_works_in_a_path(api: httpx.Client) -> None:
    created = _create(api, "eu/books")
    assert ok(api.get("/v1/retrievers/eu%2Fbooks"))["retriever_id"] == created["retriever_id"]
    assert ok(api.delete("/v1/retrievers/eu%2fbooks"))["retriever_id"] == created["retriever_id"]


def test_one_of_fifty_creates_of_a_name_wins(api: httpx.Client) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: api.post("/v1/retrievers", json=retriever("same")), range(50)))
    assert [answer.status_code for answer in answers].count(200) == 1
    codes = [refused(answer, 409)["code"] for answer in answers if answer.status_code != 200]
    assert codes == ["retriever_name_taken"] * 49
    assert ok(api.get("/v1/retrievers"))["total"] == 1


def test_every_mistake_of_a_definition_is_named(api: httpx.Client) -> None:
    stages = [
        {"stage_name": "a", "config": {"stage_id": "sort_atribute", "parameters": {}}},
        {
            "stage_name": "a",
            "config": {"stage_id": "sort_attribute", "parameters": {"field": "x", "direction": "up"}},
        },
    ]
    error = refused(
        api.post("/v1/retrievers", json={"retriever_name": "r", "stages": stages}), 422, "sort_attribute"
    )
    assert places(error) == [
        ["stages", 0, "config", "stage_id"],
        ["stages", 1, "stage_name"],
        ["stages", 1, "config", "parameters", "direction"],
    ]
    assert ok(api.get("/v1/retrievers"))["total"] == 0


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"retriever_name": ""}, ["retriever_name"]),
        ({"stages": []}, ["stages"]),
        ({"stages": "x"}, ["stages"]),
        ({"input_schema": {"q": {"type": "nonsense"}}}, ["input_schema", "q", "type"]),
        ({"budget_limits": {"max_credits": -1}}, ["budget_limits", "max_credits"]),
        ({"visibility": "secret"}, ["visibility"]),
    ],
)
def test_what_does_not_fit_is_422_at_its_place(api: httpx.Client, over: Any, place: list[Any]) -> None:
    assert places(refused(api.post("/v1/retrievers", json=retriever("r", **over)), 422)) == [place]


def test_an_unknown_collection_is_404_and_named(api: httpx.Client, books: str) -> None:
    body = retriever("r", collection_identifiers=["books", "col_0000000000"])
    refused(api.post("/v1/retrievers", json=body), 404, "col_0000000000")


def test_unknown_keys_are_named(api: httpx.Client) -> None:
    body = retriever("r", colour="red")
    body["stages"][0]["shape"] = "round"
    warnings = ok(api.post("/v1/retrievers", json=body))["warnings"]
    assert [warning.split("'")[1] for warning in warnings] == ["colour", "stages[0].shape"]


def test_another_namespace_does_not_see_it(api: httpx.Client, root: httpx.Client) -> None:
    created = _create(api, "r")
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"of {created['retriever_id']}"}))
    headers = {"X-Namespace": other["namespace_id"]}
    for id_or_name in ("r", created["retriever_id"]):
        refused(root.get(f"/v1/retrievers/{id_or_name}", headers=headers), 404)
        refused(root.delete(f"/v1/retrievers/{id_or_name}", headers=headers), 404)
    assert ok(root.get("/v1/retrievers", headers=headers))["total"] == 0


def test_lists_search_and_page(api: httpx.Client) -> None:
    for n in range(3):
        _create(api, f"r{n}", description=f"number {n}", tags=[f"t{n}"])
    listed = ok(api.post("/v1/retrievers/list", params={"limit": 2, "include_total": True}))
    assert [each["retriever_name"] for each in listed["results"]] == ["r2", "r1"]
    assert (listed["total"], listed["pagination"]["total"]) == (3, 3)
    following = {"limit": 2, "cursor": listed["pagination"]["next_cursor"]}
    assert [
        each["retriever_name"] for each in ok(api.get("/v1/retrievers", params=following))["results"]
    ] == ["r0"]
    found = ok(api.post("/v1/retrievers/list", json={"filters": {"tags": "t1"}}))
    assert [each["retriever_name"] for each in found["results"]] == ["r1"]


def test_deletion_cancels_what_waits_and_keeps_the_snapshot_for_what_runs(
    api: httpx.Client, books: str, redis_client: redis.Redis
) -> None:
    created = _create(api, "r", collection_identifiers=["books"])
    path = f"/v1/retrievers/{created['retriever_id']}"
    waiting = [ok(api.post(f"{path}/execute", json={}))["execution_id"] for _ in range(3)]
    assert ok(api.delete(path))["cancelled_executions"] == 3
    refused(api.get(path), 404)
    refused(api.post(f"{path}/execute", json={}), 404)
    for execution_id in waiting:
        assert redis_client.hget(keys.execution(execution_id), "status") == b"cancelled"
    assert redis_client.ttl(keys.definition(created["retriever_id"], 1)) > 0
    _create(api, "r")


def test_stages_are_listed_without_a_key(api_url: str) -> None:
    listed = ok(httpx.get(f"{api_url}/v1/retrievers/stages"))
    assert [each["stage_id"] for each in listed] == sorted(each["stage_id"] for each in listed)
    assert {"sort_attribute", "attribute_filter", "feature_search"} <= {each["stage_id"] for each in listed}
    for each in listed:
        assert each["description"]
        assert each["category"] in {"filter", "sort", "reduce", "apply", "enrich"}
        assert each["parameter_schema"]["type"] == "object"


@pytest.fixture
def empty_installation(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[httpx.Client, redis.Redis]]:
    """An API whose Redis no worker has ever seen."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url, connect(url) as redis_client:
        settings = Settings(redis_url=url, data_dir=tmp_path_factory.mktemp("data"), api_key=API_KEY)
        with serve(settings) as base_url:
            headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": "first"}
            with httpx.Client(base_url=base_url, headers=headers, timeout=30) as client:
                ok(client.post("/v1/namespaces", json={"namespace_name": "first"}))
                yield client, redis_client


def test_without_a_catalogue_nothing_can_be_checked_so_503(
    empty_installation: tuple[httpx.Client, redis.Redis],
) -> None:
    client, redis_client = empty_installation
    for response in (client.get("/v1/retrievers/stages"), client.post("/v1/retrievers", json=retriever("r"))):
        error = refused(response, 503, "worker")
        assert int(response.headers["Retry-After"]) == error["details"]["retry_after_seconds"] > 0
    entry = {
        "stage_id": "s",
        "category": "sort",
        "description": "d",
        "icon": "i",
        "parameter_schema": {"type": "object"},
    }
    redis_client.hset(keys.CATALOGUE, "s", orjson.dumps(entry))
    assert [each["stage_id"] for each in ok(client.get("/v1/retrievers/stages"))] == ["s"]


def test_health_knows_workers_and_queue(empty_installation: tuple[httpx.Client, redis.Redis]) -> None:
    client, redis_client = empty_installation
    redis_client.zadd(keys.WORKERS, {"alive": time.time() * 1000, "long gone": 1})
    redis_client.zadd(keys.pending("kennel.normal"), {"exec_1": 1, "exec_2": 2})
    health = ok(client.get("/v1/health"))
    assert (health["status"], health["workers_online"], health["queue_depth"]) == ("ok", 1, 2)
