"""From written documents to runs of alerts: which, with what inputs, in what order, and none twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from shared import broker, keys
from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.write_token import make_write_token
from shared.errors import LimitExceeded, Unavailable
from shared.settings import Settings
from shared.stores.alert_reading import AlertReader
from shared.stores.alert_submits import AlertSubmits
from tests.integration.record.alerts import (
    COLLECTION,
    NAMESPACE,
    RETRIEVER,
    application,
    constant,
    from_document,
    runs,
    store_alert,
    store_collection,
    store_retriever,
)
from workers.alerts.dispatch import AlertDispatch

REF = CollectionRef(NAMESPACE, COLLECTION)


@pytest.fixture
def documents(tmp_path: Path) -> DocumentStore:
    store = SqliteDocumentStore(tmp_path)
    store.create_collection(REF)
    return store


@pytest.fixture
def dispatch(client: redis.Redis, documents: DocumentStore, settings: Settings) -> AlertDispatch:
    store_retriever(client)
    return AlertDispatch(documents, AlertReader(client), AlertSubmits(client, settings))


def write(store: DocumentStore, **titles: str) -> int:
    """Documents by id; the number of the write."""
    writes = [DocumentWrite(each, {"title": title}) for each, title in titles.items()]
    return store.upsert(REF, writes, for_alerts=True).write_seq


def test_each_document_is_run_with_what_is_mapped_from_it(
    client: redis.Redis, documents: DocumentStore, dispatch: AlertDispatch
) -> None:
    store_alert(client, "alt_a", inputs={"query": "own", "more": 1})
    store_collection(client, [application("alt_a", from_document("$.title"))])
    sequence = write(documents, a="first", b="second")
    assert dispatch.do_batch(REF) == 2
    assert not dispatch.is_left(REF)
    found = runs(client, "alt_a")
    assert [(run["source_documents"], run["inputs"]) for run in found] == [
        (["a"], {"query": "first", "more": 1}),
        (["b"], {"query": "second", "more": 1}),
    ]
    assert {run["write_token"] for run in found} == {make_write_token(COLLECTION, sequence)}
    assert {run["queue"] for run in found} == {broker.QUEUE_ALERTS}
    assert {(run["mode"], run["collection_id"]) for run in found} == {("on_ingest", COLLECTION)}


def test_one_run_for_each_write_where_no_document_is_read(
    client: redis.Redis, documents: DocumentStore, dispatch: AlertDispatch
) -> None:
    store_alert(client, "alt_a")
    store_collection(client, [application("alt_a", constant("news"))])
    write(documents, a="x", b="x")
    write(documents, c="x")
    assert dispatch.do_batch(REF) == 3
    assert [run["source_documents"] for run in runs(client, "alt_a")] == [["a", "b"], ["c"]]


@pytest.mark.parametrize("source", [from_document("title"), constant("news")])
def test_what_is_submitted_again_after_a_crash_is_the_run_that_was_there(
    client: redis.Redis,
    documents: DocumentStore,
    dispatch: AlertDispatch,
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, Any],
) -> None:
    store_alert(client, "alt_a")
    store_collection(client, [application("alt_a", source)])
    write(documents, a="first", b="second")
    with monkeypatch.context() as patched:
        patched.setattr(documents, "dispatched", lambda *_: None)  # as if it had died before
        dispatch.do_batch(REF)
    before = runs(client, "alt_a")
    write(documents, c="third")
    assert dispatch.do_batch(REF) == 3
    after = runs(client, "alt_a")
    assert after[: len(before)] == before
    asked = [document for run in after for document in run["source_documents"]]
    assert asked == ["a", "b", "c"]


def test_higher_priority_is_submitted_first(
    client: redis.Redis, documents: DocumentStore, dispatch: AlertDispatch
) -> None:
    ranked = [("alt_low", 1), ("alt_high", 9), ("alt_middle", 5)]
    for alert_id, _ in ranked:
        store_alert(client, alert_id)
    store_collection(
        client,
        [application(each, from_document("title"), priority=priority) for each, priority in ranked],
    )
    write(documents, a="x", b="x")
    dispatch.do_batch(REF)
    in_order = client.zrange(keys.pending(broker.QUEUE_ALERTS), 0, -1)
    of = {run["execution_id"]: each for each, _ in ranked for run in runs(client, each)}
    assert [of[raw.decode()] for raw in in_order] == ["alt_high"] * 2 + ["alt_middle"] * 2 + ["alt_low"] * 2


@pytest.mark.parametrize("missing", ["alert", "enabled", "retriever", "attachment", "collection"])
def test_where_there_is_nothing_to_run_the_documents_leave(
    client: redis.Redis, documents: DocumentStore, dispatch: AlertDispatch, missing: str
) -> None:
    if missing != "alert":
        store_alert(client, "alt_a", enabled=missing != "enabled")
    store_collection(
        client, [] if missing == "attachment" else [application("alt_a", from_document("title"))]
    )
    if missing == "retriever":
        client.delete(keys.resource("retriever", RETRIEVER))
    if missing == "collection":
        client.delete(keys.resource("collection", COLLECTION))
    write(documents, a="x")
    assert dispatch.do_batch(REF) == 1
    assert runs(client, "alt_a") == []
    assert not dispatch.is_left(REF)


def test_inputs_that_do_not_fit_are_run_and_say_why(
    client: redis.Redis, documents: DocumentStore, dispatch: AlertDispatch
) -> None:
    store_alert(client, "alt_a")
    store_collection(client, [application("alt_a", from_document("author"))])
    write(documents, a="x")
    dispatch.do_batch(REF)
    [run] = runs(client, "alt_a")
    assert run["problem"].startswith("the inputs do not fit the retriever: ")
    assert "query" in run["problem"]


def test_a_deleted_document_is_not_asked_about(
    client: redis.Redis,
    documents: DocumentStore,
    dispatch: AlertDispatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_alert(client, "alt_a")
    store_collection(client, [application("alt_a", from_document("title"))])
    write(documents, a="x", b="x")
    rows = documents.ingested(REF, 10)
    documents.delete(REF, ["a"])
    monkeypatch.setattr(documents, "ingested", lambda *_: rows)  # read before
    dispatch.do_batch(REF)
    assert [run["source_documents"] for run in runs(client, "alt_a")] == [["b"]]


def test_a_full_queue_and_a_retriever_that_changes_leave_the_documents_where_they_are(
    client: redis.Redis, documents: DocumentStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_retriever(client)
    store_alert(client, "alt_a")
    store_collection(client, [application("alt_a", from_document("title"))])
    write(documents, a="x", b="x")
    alerts = AlertReader(client)
    small = AlertSubmits(client, settings.model_copy(update={"queue_max": 1}))
    with pytest.raises(LimitExceeded):
        AlertDispatch(documents, alerts, small).do_batch(REF)
    stale = alerts.retriever(RETRIEVER)
    monkeypatch.setattr(alerts, "retriever", lambda _: stale)
    store_retriever(client, version=2)
    dispatch = AlertDispatch(documents, alerts, AlertSubmits(client, settings))
    with pytest.raises(Unavailable):
        dispatch.do_batch(REF)
    assert dispatch.is_left(REF)
    monkeypatch.undo()
    assert dispatch.do_batch(REF) == 2
    assert [run["source_documents"] for run in runs(client, "alt_a")] == [["a"], ["b"]]
