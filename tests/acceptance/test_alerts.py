"""Alerts end to end: documents and schedules start runs in real workers, which tell real receivers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.scenes import keep, retriever, search, stage, unique, write
from tests.receivers import Receiver, http_receiver, mail_receiver
from tests.servers import free_port
from tests.stack import Stack, stack
from tests.waiting import wait_until

FEATURE = "mixpeek://text_extractor@v1"
WAIT_S = 30
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Any]:
    with mail_receiver() as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mailbox: Any) -> Iterator[Stack]:
    """A stack with two workers that may send to this machine."""
    directory: Path = tmp_path_factory.mktemp("alerts")
    with stack(
        directory,
        KENNEL_OUTBOUND_ALLOW="127.0.0.1",
        KENNEL_SMTP_URL=f"smtp://127.0.0.1:{mailbox[0]}",
        KENNEL_SMTP_FROM="kennel@example.com",
    ) as made:
        for name in ("one", "two"):
            made.start_worker(name)
        yield made


@pytest.fixture(scope="module")
def client(service: Stack) -> Iterator[httpx.Client]:
    with service.namespace("alerts") as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as made:
        yield made


def webhook(url: str) -> dict[str, Any]:
    return {"channel_type": "webhook", "config": {"url": url}}


def alert(client: httpx.Client, retriever_id: str | None, *channels: dict[str, Any], **over: Any) -> str:
    """Id of a new alert."""
    told = {"channels": list(channels) or [webhook(f"http://127.0.0.1:{free_port()}")]}
    body = {"name": unique("alert"), "retriever_id": retriever_id, "notification_config": told, **over}
    answer = client.post("/alerts", json=body)
    assert answer.status_code == 200, answer.text
    alert_id: str = answer.json()["alert_id"]
    return alert_id


def mapped(key: str, path: str) -> dict[str, Any]:
    return {"input_key": key, "source": {"source_type": "document_field", "path": path}}


def constant(key: str, value: Any) -> dict[str, Any]:
    return {"input_key": key, "source": {"source_type": "constant", "value": value}}


def application(alert_id: str, *mappings: dict[str, Any], **over: Any) -> dict[str, Any]:
    return {
        "alert_id": alert_id,
        "execution_mode": "on_ingest",
        "input_mappings": list(mappings),
        **over,
    }


def collection(client: httpx.Client, **over: Any) -> str:
    """Id of a new collection."""
    answer = client.post("/collections", json={"collection_name": unique("watched"), **over})
    assert answer.status_code == 200, answer.text
    collection_id: str = answer.json()["collection_id"]
    return collection_id


def attach(client: httpx.Client, collection_id: str, *applications: dict[str, Any]) -> None:
    changed = client.patch(f"/collections/{collection_id}", json={"alert_applications": list(applications)})
    assert changed.status_code == 200, changed.text


def newer_than(client: httpx.Client, collection_id: str, **over: Any) -> str:
    """Id of a retriever of the documents with a year above its input."""
    stages = keep("year", "gt", "{{INPUT.year}}")
    return retriever(client, stages, collection_identifiers=[collection_id], **over)


def runs(client: httpx.Client, alert_id: str) -> list[dict[str, Any]]:
    answer = client.get(f"/alerts/{alert_id}/executions", params={"limit": 100})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def ended_runs(client: httpx.Client, alert_id: str, count: int) -> list[dict[str, Any]]:
    """Newest first, in full."""

    def all_ended() -> bool:
        found = runs(client, alert_id)
        return len(found) == count and all(each["status"] not in ("pending", "processing") for each in found)

    wait_until(all_ended, WAIT_S, f"{count} runs of {alert_id} to end")
    return [
        client.get(f"/alerts/executions/{each['execution_id']}").json() for each in runs(client, alert_id)
    ]


def make_due(service: Stack, member: str, *, ago_ms: int) -> None:
    """As if it had been due so long ago."""
    with connect(service.redis_url) as server:
        seconds, microseconds = server.time()
        assert server.zscore(keys.ALERT_DUE, member) is not None
        server.zadd(keys.ALERT_DUE, {member: seconds * 1000 + microseconds // 1000 - ago_ms})


def test_a_written_document_is_found_by_meaning_and_told_on_every_channel(
    client: httpx.Client, receiver: Receiver, mailbox: Any
) -> None:
    with http_receiver() as slack:
        by_meaning = {"feature_uri": FEATURE, "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}
        searching = stage("search", "feature_search", searches=[by_meaning])
        extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
        collection_id = collection(client, feature_extractor=extractor)
        retriever_id = retriever(client, searching, collection_identifiers=[collection_id])
        alert_id = alert(
            client,
            retriever_id,
            webhook(receiver.url),
            {"channel_type": "slack", "config": {"webhook_url": slack.url}},
            {"channel_type": "email", "config": {"to_addresses": ["a@example.com"]}},
            include_matches=True,
        )
        attach(client, collection_id, application(alert_id, mapped("query", "$.about.topic")))
        document = {"document_id": "dune", "text": "a planet of sand", "about": {"topic": "a desert world"}}
        write(client, collection_id, [document])
        [run] = ended_runs(client, alert_id, 1)
        assert (run["status"], run["triggered"], run["collection_id"]) == ("completed", True, collection_id)
        assert run["source_documents"] == ["dune"]
        assert [each["document_id"] for each in run["matches"]] == ["dune"]
        assert 0 < run["matches"][0]["score"] <= 1
        wait_until(lambda: len(receiver.received) == 1 == len(slack.received), WAIT_S, "the deliveries")
        mail = mailbox[1].get(timeout=WAIT_S)
    [told] = receiver.received
    payload = told.json()
    token = run["execution_id"].removeprefix("exec_")
    assert (told.headers["webhook-id"], payload["event_type"]) == (f"evt_{token}", "alert.triggered")
    [match] = run["matches"]
    assert payload["alert_id"] == alert_id
    assert payload["matches"] == [{"document_id": "dune", "score": match["score"]}]
    assert payload["alert_name"].encode() in mail.content
    assert "fired with 1 matches" in slack.bodies()[0]["text"]
    delivered = [{"channel_type": each, "status": "delivered"} for each in ("webhook", "slack", "email")]
    wait_until(
        lambda: (
            [
                {"channel_type": each["channel_type"], "status": each["status"]}
                for each in runs(client, alert_id)[0]["deliveries"]
            ]
            == delivered
        ),
        WAIT_S,
        "the deliveries to be recorded",
    )


def test_what_reads_no_document_runs_once_for_a_write(client: httpx.Client) -> None:
    collection_id = collection(client)
    year = newer_than(client, collection_id)
    once, each = alert(client, year, inputs={"year": 0}), alert(client, year)
    attach(
        client,
        collection_id,
        application(once, constant("year", 1960)),
        application(each, mapped("year", "year")),
    )
    write(client, collection_id, [{"document_id": f"d{n}", "year": 1959 + n} for n in range(3)])
    [run] = ended_runs(client, once, 1)
    assert (run["source_documents"], run["match_count"]) == (["d0", "d1", "d2"], 1)
    counts = {tuple(run["source_documents"]): run["match_count"] for run in ended_runs(client, each, 3)}
    assert counts == {("d0",): 2, ("d1",): 1, ("d2",): 0}
    write(client, collection_id, [{"document_id": "d3", "year": 1999}])
    assert len(ended_runs(client, once, 2)) == 2


def test_inputs_that_do_not_fit_make_the_run_fail_and_say_why(client: httpx.Client) -> None:
    schema = {"query": {"type": "string", "required": True}}
    collection_id = collection(client)
    lexical = retriever(client, search(), input_schema=schema, collection_identifiers=[collection_id])
    alert_id = alert(client, lexical)
    attach(client, collection_id, application(alert_id, mapped("query", "title")))
    write(client, collection_id, [{"document_id": "untitled", "text": "words"}])
    [run] = ended_runs(client, alert_id, 1)
    assert (run["status"], run["triggered"], run["deliveries"]) == ("failed", False, None)
    assert "inputs.query: this input is required" in run["error"]


def test_a_run_that_was_missed_is_run_once_and_is_late(service: Stack, client: httpx.Client) -> None:
    year = newer_than(client, collection(client))
    alert_id = alert(
        client, year, inputs={"year": 1960}, trigger_on="no_results", schedule={"interval_seconds": 3600}
    )
    make_due(service, alert_id, ago_ms=5 * HOUR_MS)
    [run] = ended_runs(client, alert_id, 1)
    assert (run["mode"], run["is_late"], run["collection_id"]) == ("scheduled", True, "")
    with connect(service.redis_url) as server:
        due_ms = server.zscore(keys.ALERT_DUE, alert_id)
        seconds, _ = server.time()
    assert due_ms is not None
    assert 0 < due_ms - seconds * 1000 <= HOUR_MS + 1_000


def test_a_condition_is_told_when_it_begins_to_hold(
    service: Stack, client: httpx.Client, receiver: Receiver
) -> None:
    collection_id = collection(client)
    odd = retriever(client, keep("odd", "eq", value=True), collection_identifiers=[collection_id])
    alert_id = alert(client, odd, webhook(receiver.url), schedule={"interval_seconds": 3600})
    told = []
    for number, is_odd in enumerate([False, True, True, False, True], 1):
        write(client, collection_id, [{"document_id": "one", "odd": is_odd}])
        make_due(service, alert_id, ago_ms=1000)
        newest = ended_runs(client, alert_id, number)[0]
        assert newest["triggered"] is is_odd
        assert newest["is_late"] is False
        told.append(newest["deliveries"] is not None)
    assert told == [False, True, False, False, True]
    wait_until(lambda: len(receiver.received) == 2, WAIT_S, "both to be told")


def test_a_system_alert_looks_at_its_metric(service: Stack, client: httpx.Client) -> None:
    condition = {"type": "task_queue_degraded", "params": {"max_wait_seconds": 1_000}}
    alert_id = alert(client, None, source="system", system_condition=condition)
    make_due(service, alert_id, ago_ms=0)
    [run] = ended_runs(client, alert_id, 1)
    assert (run["status"], run["triggered"], run["matches"]) == ("completed", False, [])


def test_an_alert_on_demand_runs_with_the_inputs_that_are_given(client: httpx.Client) -> None:
    collection_id = collection(client)
    alert_id = alert(client, newer_than(client, collection_id), inputs={"year": 3000})
    write(client, collection_id, [{"document_id": "x", "year": 2000}])
    given: list[tuple[dict[str, Any], bool]] = [({}, False), ({"year": 0}, True)]
    for number, (inputs, holds) in enumerate(given, 1):
        started = client.post(f"/alerts/{alert_id}/execute", json={"inputs": inputs})
        assert started.status_code == 202, started.text
        assert ended_runs(client, alert_id, number)[0]["triggered"] is holds
