"""Documents that no alert has been asked about: what enters their outbox, and what leaves it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, Ingested
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import InvalidInput, KennelError

REF = CollectionRef("ns_test", "col_watched")


@pytest.fixture
def watched(store: DocumentStore) -> DocumentStore:
    store.create_collection(REF)
    return store


def write(store: DocumentStore, *document_ids: str, for_alerts: bool = True) -> int:
    documents = [DocumentWrite(each, {"text": "words"}) for each in document_ids]
    return store.upsert(REF, documents, for_alerts=for_alerts).write_seq


def test_documents_enter_with_the_number_of_their_write(watched: DocumentStore) -> None:
    first, second = write(watched, "b", "a"), write(watched, "c")
    rows = [Ingested("a", first), Ingested("b", first), Ingested("c", second)]
    assert watched.ingested(REF, 10) == rows
    watched.dispatched(REF, rows[:2])
    assert watched.ingested(REF, 10) == rows[2:]


def test_without_alerts_nothing_enters(watched: DocumentStore) -> None:
    write(watched, "a", for_alerts=False)
    assert watched.ingested(REF, 10) == []
    assert watched.with_ingested() == []


def test_a_write_that_is_refused_enters_nothing(watched: DocumentStore) -> None:
    with pytest.raises(InvalidInput):
        watched.upsert(REF, [DocumentWrite("a", {}), DocumentWrite("b", {"_internal": 1})], for_alerts=True)
    assert watched.ingested(REF, 10) == []


def test_what_is_written_again_meanwhile_stays(watched: DocumentStore) -> None:
    first = write(watched, "a")
    second = write(watched, "a")
    watched.dispatched(REF, [Ingested("a", first)])
    assert watched.ingested(REF, 10) == [Ingested("a", second)]


def test_a_deleted_document_leaves(watched: DocumentStore) -> None:
    sequence = write(watched, "a", "b")
    watched.delete(REF, ["a"])
    assert watched.ingested(REF, 10) == [Ingested("b", sequence)]


def test_writes_come_whole(watched: DocumentStore) -> None:
    first, second = write(watched, "a", "b"), write(watched, "c", "d", "e")
    assert watched.ingested(REF, 4) == [Ingested("a", first), Ingested("b", first)]
    watched.dispatched(REF, watched.ingested(REF, 4))
    assert watched.ingested(REF, 3) == [Ingested(each, second) for each in "cde"]
    assert watched.ingested(REF, 2) == [Ingested("c", second), Ingested("d", second)]


def test_the_sweep_finds_the_collections_with_rows(watched: DocumentStore) -> None:
    assert watched.with_ingested() == []
    write(watched, "a")
    assert watched.with_ingested() == [REF]
    assert watched.behind() == []
    watched.dispatched(REF, watched.ingested(REF, 10))
    assert watched.with_ingested() == []


def test_a_file_of_the_version_before_is_brought_to_this_one(tmp_path: Path) -> None:
    SqliteDocumentStore(tmp_path).create_collection(REF)
    with apsw.Connection(str(tmp_path / REF.namespace_id / f"{REF.collection_id}.db")) as connection:
        connection.execute("DROP TABLE alert_outbox; PRAGMA user_version = 3")
    store = SqliteDocumentStore(tmp_path)
    assert store.count(REF) == 0
    sequence = write(store, "a")
    assert SqliteDocumentStore(tmp_path).ingested(REF, 10) == [Ingested("a", sequence)]


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    SqliteDocumentStore(tmp_path).create_collection(REF)
    with apsw.Connection(str(tmp_path / REF.namespace_id / f"{REF.collection_id}.db")) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(KennelError, match="schema version 2"):
        SqliteDocumentStore(tmp_path).count(REF)
