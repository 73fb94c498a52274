"""Alerts, and what they run, as workers read them. One round trip each, retried through an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from shared import keys
from shared.models.alert import Alert
from shared.models.resource import RetrieverRecord
from shared.redis_sync import text, texts, through_outage

_PATIENCE_S = 60.0


class AlertReader:
    """One per process; safe to share between threads. Raises Unavailable when Redis is away for long."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def find(self, alert_ids: Sequence[str]) -> dict[str, Alert]:
        """Those that exist, by their id."""
        if not alert_ids:
            return {}
        bodies = self._bodies([keys.resource("alert", each) for each in alert_ids])
        return {
            alert_id: Alert.model_validate_json(body)
            for alert_id, body in zip(alert_ids, bodies, strict=True)
            if body is not None
        }

    def collection(self, collection_id: str) -> bytes | None:
        """Its body (JSON); None when it is gone."""
        return self._bodies([keys.resource("collection", collection_id)])[0]

    def retriever(self, retriever_id: str) -> RetrieverRecord | None:
        """Its present version; None when it is gone. Two round trips."""
        key = keys.resource("retriever", retriever_id)
        version, body = self._ask(lambda: self._client.hmget(key, "version", "body"))
        if version is None or body is None:
            return None
        definition_key = keys.definition(retriever_id, int(version))
        definition = self._ask(lambda: self._client.get(definition_key))
        if definition is None:  # it was changed meanwhile, long ago
            return None
        return RetrieverRecord(retriever_id, int(text(version)), body, definition)

    def collection_ids(self, namespace_id: str) -> list[str]:
        """Every collection of the namespace, newest first."""
        key = keys.resource_ids("collection", namespace_id)
        return texts(self._ask(lambda: self._client.zrevrange(key, 0, -1)))

    def _bodies(self, names: Sequence[str]) -> list[bytes | None]:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(name, "body")
        found: list[bytes | None] = self._ask(pipeline.execute)
        return found

    def _ask(self, call: Any) -> Any:
        return through_outage(call, patience_s=_PATIENCE_S)
