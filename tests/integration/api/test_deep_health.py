"""Health that is asked by using each service, the scheduler's beat, and what an installation can do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from shared import keys
from shared.redis_sync import connect
from shared.settings import Settings
from tests.conftest import API_KEY, serve
from tests.integration.api.answers import ok
from tests.servers import free_port, redis_server

SERVICES = {"cache", "metadata", "vector_store", "object_storage", "task_queue", "inference"}
Start = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def quiet_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that no worker uses."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def server(quiet_redis: str) -> Iterator[redis.Redis]:
    with connect(quiet_redis) as client:
        client.flushdb()
        yield client


@pytest.fixture
def start(server: redis.Redis, quiet_redis: str, tmp_path: Path) -> Iterator[Start]:
    """Starts an API on that server; returns a client of it."""
    with ExitStack() as stack:

        def start_api(**over: Any) -> httpx.Client:
            values = {"redis_url": quiet_redis, "data_dir": tmp_path / "data", "api_key": API_KEY} | over
            url = stack.enter_context(serve(Settings(**values)))
            headers = {"Authorization": f"Bearer {API_KEY}"}
            return stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))

        yield start_api


def _now_ms() -> int:
    return int(time.time() * 1000)


def _flags(report: dict[str, Any]) -> set[str]:
    """The services that work."""
    assert set(report["data"]) == SERVICES | {"analytics"}
    assert set(report["errors"] or {}) == {name for name in SERVICES if not report["data"][name]}
    return {name for name in SERVICES if report["data"][name]}


def test_with_a_worker_all_is_ok_and_the_probe_leaves_nothing(
    start: Start, server: redis.Redis, tmp_path: Path
) -> None:
    server.zadd(keys.WORKERS, {"worker-1": _now_ms()})
    server.zadd(keys.pending("kennel.normal"), {"exec_1": 1})
    client = start()
    report = ok(client.get("/v1/health/deep", params={"deep": True, "metrics": True}))
    assert (report["status"], _flags(report), report["data"]["analytics"]) == ("OK", SERVICES, None)
    assert [worker["name"] for worker in report["meta"]["workers"]] == ["worker-1"]
    assert report["meta"]["metrics"] == {"workers_online": 1, "queue_depth": 1, "stages_stuck": 0}
    assert list((tmp_path / "data" / "documents").iterdir()) == []
    assert set(ok(client.get("/v1/health/deep"))["meta"]) == {"version"}


def test_without_workers_nothing_is_computed(start: Start) -> None:
    report = ok(start().get("/v1/health/deep"))
    assert report["status"] == "DEGRADED"
    assert _flags(report) == SERVICES - {"task_queue", "inference"}
    assert "kennel up" in report["errors"]["task_queue"]


def test_documents_that_cannot_be_stored_are_told(start: Start, server: redis.Redis, tmp_path: Path) -> None:
    server.zadd(keys.WORKERS, {"worker-1": _now_ms()})
    client = start()
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "documents").write_text("a file where a directory should be")
    assert _flags(ok(client.get("/v1/health/deep"))) == SERVICES - {"vector_store"}


def test_an_embeddings_endpoint_that_is_away_is_told(start: Start, server: redis.Redis) -> None:
    server.zadd(keys.WORKERS, {"worker-1": _now_ms()})
    endpoint = {"embeddings_model": "m", "embeddings_dimensions": 4}
    away = start(embeddings_url=f"http://127.0.0.1:{free_port()}/v1", **endpoint)
    report = ok(away.get("/v1/health/deep"))
    assert _flags(report) == SERVICES - {"inference"}
    assert "KENNEL_EMBEDDINGS_URL" in report["errors"]["inference"]
    answering = start(embeddings_url=f"{away.base_url}/v1", **endpoint)  # a 404 is an answer
    assert _flags(ok(answering.get("/v1/health/deep"))) == SERVICES


def test_the_beat_is_the_sweep_of_the_workers(start: Start, server: redis.Redis) -> None:
    never, lately, long_ago = start(), start(), start()
    assert ok(never.get("/v1/health/beat")) == {
        "beat_running": False,
        "last_heartbeat": None,
        "age_seconds": None,
    }
    server.hset("kennel:sweep", "last_ms", _now_ms())
    assert ok(lately.get("/v1/health/beat"))["beat_running"] is True
    server.hset("kennel:sweep", "last_ms", 1_500_000_000_000)
    beat = ok(long_ago.get("/v1/health/beat"))
    assert (beat["beat_running"], beat["last_heartbeat"]) == (False, "2017-07-14T02:40:00.000Z")
    assert beat["age_seconds"] > 1e8


def test_discovery_shows_what_there_is(api: httpx.Client) -> None:
    found = ok(api.get("/v1/discovery"))
    assert found["manifest_schema"] is None
    assert found["stages"] == ok(api.get("/v1/discovery/stages"))
    assert found["extractors"] == ok(api.get("/v1/discovery/extractors"))
    listed = ok(api.get("/v1/retrievers/stages"))
    extra = ("cost_tier", "requires_collections")
    assert [{name: each[name] for name in each if name not in extra} for each in found["stages"]] == listed
    by_id = {each["stage_id"]: each for each in found["stages"]}
    assert [by_id["feature_search"][name] for name in extra] == ["cheap", True]
    assert [by_id["mmr"][name] for name in extra] == ["moderate", False]


def test_the_example_of_each_extractor_makes_a_collection(api: httpx.Client) -> None:
    for number, extractor in enumerate(ok(api.get("/v1/discovery/extractors"))):
        body = {"collection_name": f"books {number}", "feature_extractor": extractor["example_usage"]}
        made = ok(api.post("/v1/collections", json=body))
        assert made["warnings"] == []
        uris = [index["feature_uri"] for index in made["vector_indexes"]]
        assert uris == [index["feature_uri"] for index in extractor["required_vector_indexes"]]
