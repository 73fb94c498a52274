"""A thousand documents, while workers are killed: each is asked about once, and told under one id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.acceptance.test_alerts import alert, application, attach, collection, mapped, webhook
from tests.contract.scenes import keep, retriever, write
from tests.receivers import http_receiver
from tests.stack import kill, stack
from tests.waiting import wait_until

WRITES, SIZE = 20, 50
ALL = [f"doc_{number:04}" for number in range(WRITES * SIZE)]
KILL_AFTER = {5, 12, 19}  # writes
DAY_S = 86_400
WAIT_S = 90


def documents(number: int) -> list[dict[str, Any]]:
    """Of one write."""
    return [{"document_id": each, "own_id": each} for each in ALL[number * SIZE : (number + 1) * SIZE]]


def every_run(client: httpx.Client, alert_id: str) -> Iterator[dict[str, Any]]:
    for offset in range(0, len(ALL) + 1, 100):
        page = client.get(f"/alerts/{alert_id}/executions", params={"limit": 100, "offset": offset})
        assert page.status_code == 200, page.text
        yield from page.json()["results"]


def all_delivered(client: httpx.Client, alert_id: str, count: int) -> bool:
    listed = client.get(f"/alerts/{alert_id}/deliveries", params={"status": "delivered", "limit": 1})
    return bool(listed.json()["total"] == count)


@pytest.mark.timeout(180)
def test_each_document_is_asked_about_once_and_told_under_one_id(tmp_path: Path) -> None:
    with (
        stack(tmp_path, KENNEL_OUTBOUND_ALLOW="127.0.0.1") as made,
        http_receiver() as receiver,
        made.namespace("killed") as client,
    ):
        workers = [made.start_worker(name) for name in ("w0", "w1")]
        collection_id = collection(client)
        itself = keep("own_id", "eq", "{{INPUT.own_id}}")
        finds_itself = retriever(client, itself, collection_identifiers=[collection_id])
        each = alert(client, finds_itself, webhook(receiver.url))
        once = alert(client, finds_itself, webhook(receiver.url), cooldown_seconds=DAY_S)
        by_id = mapped("own_id", "own_id")
        attach(client, collection_id, application(each, by_id), application(once, by_id))
        for number in range(WRITES):
            write(client, collection_id, documents(number))
            if number in KILL_AFTER:
                name = number % 2
                kill(workers[name])
                workers[name] = made.start_worker(f"w{name}")
        with connect(made.redis_url) as server:
            for alert_id in (each, once):
                completed = keys.history(alert_id, "completed")
                wait_until(lambda key=completed: server.zcard(key) == len(ALL), WAIT_S, "all runs to end")
        wait_until(lambda: all_delivered(client, each, len(ALL)), WAIT_S, "everything to be told")
        for alert_id in (each, once):
            found = list(every_run(client, alert_id))
            asked = Counter(document for run in found for document in run["source_documents"])
            assert asked == Counter(ALL)
            assert {(run["status"], run["match_count"]) for run in found} == {("completed", 1)}
        assert sum(run["deliveries"] is not None for run in every_run(client, each)) == len(ALL)
        assert sum(run["deliveries"] is not None for run in every_run(client, once)) == 1
        told: dict[str, set[str]] = {}
        for received in receiver.received:
            body = received.json()
            if body["alert_id"] == each:
                assert body["event_id"] == received.headers["webhook-id"]
                told.setdefault(body["event_id"], set()).update(body["source_documents"])
        assert sorted(document for about in told.values() for document in about) == ALL
