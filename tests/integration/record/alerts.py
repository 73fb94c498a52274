"""What tests of running alerts store: alerts, a retriever, collections that they are attached to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import redis

from shared import keys
from shared.models.alert import Alert

NAMESPACE = "ns_1"
RETRIEVER = "ret_alerts"
COLLECTION = "col_watched"
CREATED = "2026-01-01T00:00:00.000Z"


def store_retriever(client: redis.Redis, *, version: int = 1) -> None:
    """One that takes a text `query`, and searches COLLECTION."""
    definition = {
        "retriever_id": RETRIEVER,
        "retriever_name": "watched",
        "namespace_id": NAMESPACE,
        "collection_ids": [COLLECTION],
        "input_schema": {"query": {"type": "text", "required": True}},
        "stages": [{"stage_name": "all", "stage_id": "sort_attribute", "parameters": {"field": "year"}}],
        "budget_limits": None,
    }
    client.hset(keys.resource("retriever", RETRIEVER), mapping={"version": version, "body": "{}"})
    client.set(keys.definition(RETRIEVER, version), orjson.dumps(definition))


def store_alert(client: redis.Redis, alert_id: str, **over: Any) -> None:
    values: dict[str, Any] = {
        "alert_id": alert_id,
        "namespace_id": NAMESPACE,
        "name": alert_id,
        "retriever_id": RETRIEVER,
        "sealed_channels": "sealed",
        "channel_types": (),
        "created_at": CREATED,
        "updated_at": CREATED,
        **over,
    }
    alert = Alert.model_validate(values)
    client.hset(keys.resource("alert", alert_id), "body", alert.model_dump_json())


def store_collection(client: redis.Redis, applications: Sequence[dict[str, Any]] = ()) -> None:
    body = {"alert_applications": list(applications)}
    client.hset(keys.resource("collection", COLLECTION), "body", orjson.dumps(body))


def application(alert_id: str, source: dict[str, Any], **over: Any) -> dict[str, Any]:
    """An attachment that maps the input `query`."""
    mappings = [{"input_key": "query", "source": source}]
    return {"alert_id": alert_id, "execution_mode": "on_ingest", "input_mappings": mappings, **over}


def from_document(path: str) -> dict[str, Any]:
    return {"source_type": "document_field", "path": path}


def constant(value: Any) -> dict[str, Any]:
    return {"source_type": "constant", "value": value}


def runs(client: redis.Redis, alert_id: str) -> list[dict[str, Any]]:
    """What was submitted for an alert, in that order: each record's `alert`, inputs and id."""
    found = []
    for raw in client.zrange(keys.history(alert_id), 0, -1):
        alert, request, queue = client.hmget(keys.execution(raw.decode()), "alert", "request", "queue")
        asked = orjson.loads(request or b"")
        found.append(
            {
                **orjson.loads(alert or b""),
                "execution_id": raw.decode(),
                "queue": (queue or b"").decode(),
                "inputs": asked["inputs"],
                "write_token": asked["write_token"],
            }
        )
    return found
