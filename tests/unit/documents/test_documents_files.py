"""Collection files and open handles: dropped, damaged, foreign and full files; how many stay open."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.sqlite.faults import kennel_error
from shared.documents.sqlite.handles import MAX_HANDLES_PER_THREAD
from shared.documents.sqlite.schema import SCHEMA_VERSION
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import KennelError, NotFound, TooLarge, Unavailable


def file_of(directory: Path, ref: CollectionRef) -> Path:
    return directory / ref.namespace_id / f"{ref.collection_id}.db"


def open_connections(directory: Path) -> int:
    return sum(connection.filename.startswith(str(directory)) for connection in apsw.connections())


def test_a_collection_dropped_by_another_is_gone_for_open_handles(
    store: DocumentStore, other_store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [DocumentWrite("doc_1", {})])
    other_store.drop_collection(ref)
    for call in (lambda: store.count(ref), lambda: store.upsert(ref, [DocumentWrite("doc_2", {})])):
        with pytest.raises(NotFound):
            call()
    other_store.create_collection(ref)
    assert store.count(ref) == 0


def test_leftovers_of_a_broken_creation_do_no_harm(store: DocumentStore, directory: Path) -> None:
    ref = CollectionRef("ns_test", "col_new")
    file_of(directory, ref).with_suffix(".new").write_text("half a file")
    store.create_collection(ref)
    assert store.count(ref) == 0


def test_a_damaged_file_is_named(store: DocumentStore, directory: Path) -> None:
    ref = CollectionRef("ns_test", "col_damaged")
    file_of(directory, ref).write_bytes(b"no database" * 100)
    with pytest.raises(KennelError, match=r"col_damaged\.db is damaged.*backup"):
        store.count(ref)


def test_a_file_of_a_newer_kennel_is_refused(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    connection = apsw.Connection(str(file_of(directory, ref)))
    connection.pragma("user_version", SCHEMA_VERSION + 1)
    connection.close()
    with pytest.raises(KennelError, match=f"schema version {SCHEMA_VERSION + 1}") as refused:
        store.count(ref)
    assert refused.value.code == "schema_version"


def test_a_locked_database_is_busy_and_a_full_one_is_full(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    first, second = apsw.Connection(str(path)), apsw.Connection(str(path))
    first.execute("CREATE TABLE t (x)")
    first.execute("BEGIN EXCLUSIVE")
    with pytest.raises(apsw.BusyError) as busy:
        second.execute("BEGIN EXCLUSIVE")
    first.execute("COMMIT")
    second.pragma("max_page_count", 3)
    with pytest.raises(apsw.FullError) as full:
        second.execute("INSERT INTO t VALUES (zeroblob(100000))")
    with pytest.raises(apsw.TooBigError) as too_big:
        second.execute("SELECT zeroblob(2000000000)").fetchall()
    errors = [kennel_error(each.value, path) for each in (busy, full, too_big)]
    assert [type(error) for error in errors] == [Unavailable, Unavailable, TooLarge]
    assert [error.message.split(";")[0][-7:] for error in errors[:2]] == ["is busy", "is full"]


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path, ref: CollectionRef) -> None:
    (tmp_path / "documents").write_text("a file in the way")
    with pytest.raises(Unavailable, match="data directory"):
        SqliteDocumentStore(tmp_path / "documents").create_collection(ref)


def test_a_thread_keeps_few_handles_open(store: DocumentStore, directory: Path) -> None:
    refs = [CollectionRef("ns_test", f"col_{number}") for number in range(MAX_HANDLES_PER_THREAD + 4)]
    for ref in refs:
        store.create_collection(ref)
        store.upsert(ref, [DocumentWrite("doc_1", {})])
    assert open_connections(directory) == MAX_HANDLES_PER_THREAD
    assert [store.count(ref) for ref in refs] == [1] * len(refs)


def test_the_handles_of_dead_threads_are_closed(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    barrier = threading.Barrier(3)
    open_after_count: list[int] = []

    def count(alive_together: bool) -> None:
        store.count(ref)
        if alive_together:
            barrier.wait(timeout=10)
        open_after_count.append(open_connections(directory))

    for threads in (
        [threading.Thread(target=count, args=(True,)) for _ in range(3)],
        [threading.Thread(target=count, args=(False,))],
    ):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert open_after_count == [3, 3, 3, 1]


def test_many_threads_share_a_store(store: DocumentStore, ref: CollectionRef) -> None:
    def write(name: str) -> None:
        for number in range(5):
            store.upsert(ref, [DocumentWrite(f"{name}{number}", {"by": name})])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count(ref) == 20
