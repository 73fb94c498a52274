"""What a write costs and leaves when alerts are attached to its collection."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
import redis

from shared import broker, keys
from tests.integration.api.answers import ok
from tests.integration.api.test_alerts import application, body, watched

__all__ = ["watched"]  # the fixture
EMBEDDED = {"feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1"}}


@pytest.fixture
def alert(api: httpx.Client, watched: str) -> str:
    """Id of an alert that can be attached."""
    alert_id: str = ok(api.post("/v1/alerts", json=body(retriever_id=watched)))["alert_id"]
    return alert_id


def collection(api: httpx.Client, **over: Any) -> str:
    """Id of a new one, named after how many there are."""
    count = ok(api.post("/v1/collections/list", json={}))["total_count"]
    made = ok(api.post("/v1/collections", json={"collection_name": f"books-{count}", **over}))
    collection_id: str = made["collection_id"]
    return collection_id


def write(api: httpx.Client, collection_id: str, **document: Any) -> None:
    rows = [{"document_id": "dune", "payload": {"title": "Dune", "text": "sand", **document}}]
    path = f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert"
    ok(api.post(path, json={"collection_id": collection_id, "documents": rows}))


def functions_called(client: redis.Redis) -> int:
    stats: Any = client.info("commandstats")
    return int(stats.get("cmdstat_fcall", {}).get("calls", 0))


def cost(api: httpx.Client, client: redis.Redis, collection_id: str, **document: Any) -> int:
    """Functions that a write calls, each a round trip; looking the collection up is not its own."""
    ok(api.get(f"/v1/collections/{collection_id}/documents/count"))  # known for a second
    before = functions_called(client)
    write(api, collection_id, **document)
    return functions_called(client) - before


def messages(client: redis.Redis, collection_id: str) -> int:
    """The tasks that dispatch what was written to it."""
    found = client.lrange(broker.QUEUE_DISPATCH, 0, -1)
    members = [orjson.loads(orjson.loads(each)["body"])[0][0] for each in found]
    return sum(member.endswith(f"/{collection_id}") for member in members)


@pytest.mark.parametrize("extractor", [{}, EMBEDDED], ids=["plain", "embedded"])
def test_alerts_cost_a_write_one_round_trip_more_at_most(
    api: httpx.Client, redis_client: redis.Redis, alert: str, extractor: dict[str, Any]
) -> None:
    plain = collection(api, **extractor)
    attached = collection(api, **extractor, alert_applications=[application(alert)])
    without = cost(api, redis_client, plain)
    assert without == (1 if extractor else 0)
    assert cost(api, redis_client, attached) == 1
    assert (messages(redis_client, plain), messages(redis_client, attached)) == (0, 1)
    assert cost(api, redis_client, attached, year=1) <= 1
    assert messages(redis_client, attached) == 1  # whoever is told comes to all of it


def test_the_first_write_after_attaching_counts(
    api: httpx.Client, redis_client: redis.Redis, alert: str
) -> None:
    collection_id = collection(api)
    write(api, collection_id)
    assert messages(redis_client, collection_id) == 0
    ok(api.patch(f"/v1/collections/{collection_id}", json={"alert_applications": [application(alert)]}))
    write(api, collection_id)
    assert messages(redis_client, collection_id) == 1


@pytest.mark.parametrize("mode", ["on_demand", "scheduled"])
def test_other_modes_leave_nothing_at_a_write(
    api: httpx.Client, redis_client: redis.Redis, alert: str, mode: str
) -> None:
    ok(
        api.patch(
            f"/v1/alerts/{alert}", json={"inputs": {"query": "x"}, "schedule": {"interval_seconds": 60}}
        )
    )
    mapping = {"input_key": "query", "source": {"source_type": "constant", "value": "x"}}
    other = {"alert_id": alert, "execution_mode": mode, "input_mappings": [mapping]}
    collection_id = collection(api, alert_applications=[other])
    write(api, collection_id)
    assert messages(redis_client, collection_id) == 0


def test_a_created_document_counts_and_a_changed_one_does_not(
    api: httpx.Client, redis_client: redis.Redis, alert: str
) -> None:
    collection_id = collection(api, alert_applications=[application(alert)])
    made = ok(api.post(f"/v1/collections/{collection_id}/documents", json={"title": "Emma"}))
    assert messages(redis_client, collection_id) == 1
    redis_client.delete(keys.work("alerts"))  # as if a worker had seen to it
    path = f"/v1/collections/{collection_id}/documents/{made['document_id']}"
    ok(api.patch(path, json={"title": "Emma again"}))
    assert messages(redis_client, collection_id) == 1
