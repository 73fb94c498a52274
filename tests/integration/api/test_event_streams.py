"""What a stream does while nothing happens. Nobody runs these executions: there is no worker."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx
import pytest
import redis

from api.services.executions import event_feed
from shared.settings import Settings
from shared.stores.api_keys import create_key, revoke_key
from tests.conftest import API_KEY, serve
from tests.events import events_of

BODY = {
    "stream": True,
    "stages": [{"stage_name": "s", "config": {"stage_id": "sort_attribute", "parameters": {"field": "a"}}}],
}


@pytest.fixture
def quick(
    settings: Settings, published_catalogue: None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """A client of an API that does not let it wait 15 s for a heartbeat."""
    monkeypatch.setattr(event_feed, "HEARTBEAT_S", 0.05)
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": namespace}
    with serve(settings) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        yield client


def test_heartbeats_are_comments(quick: httpx.Client) -> None:
    with quick.stream("POST", "/v1/retrievers/execute", json=BODY) as answer:
        lines = answer.iter_lines()
        begin = [next(lines) for _ in range(5)]
        beats = [next(lines) for _ in range(4)]
    assert [line.partition(":")[0] for line in begin] == ["retry", "", "id", "data", ""]
    assert beats == [": heartbeat", ""] * 2


def test_a_revoked_key_sees_no_more(quick: httpx.Client, redis_client: redis.Redis) -> None:
    name = f"key-{secrets.token_hex(4)}"
    key, _ = create_key(redis_client, name)
    headers = {"Authorization": f"Bearer {key}"}
    with quick.stream("POST", "/v1/retrievers/execute", json=BODY, headers=headers) as answer:
        events = events_of(answer)
        assert next(events).brief == ("execution_status", "pending")
        revoke_key(redis_client, name)
        assert list(events) == []
