"""Several processes and threads on one collection: turns, crashes, forks."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.sqlite.turns import write_turn
from shared.errors import Unavailable

BATCH = 10
BATCHES = 100  # enough that two writers meet, also where one starts late
ROOT = Path(__file__).parents[3]
# Says "ready", waits for a line, then writes batch after batch (documents <name>_<batch>_<n>, and one which
# all writers share) and prints the number of each batch once it is acknowledged.
WRITER = """
import sys
from pathlib import Path
from shared.documents import CollectionRef, DocumentWrite
from shared.documents.sqlite.store import SqliteDocumentStore

directory, namespace_id, collection_id, name, batches, size = sys.argv[1:]
store = SqliteDocumentStore(Path(directory))
print("ready", flush=True)
sys.stdin.readline()
for batch in range(int(batches)):
    fields = {"text": f"{name} words", "batch": batch}
    writes = [DocumentWrite(f"{name}_{batch}_{number}", fields) for number in range(int(size))]
    writes.append(DocumentWrite("shared", {"batch": batch}))
    store.upsert(CollectionRef(namespace_id, collection_id), writes)
    print(batch, flush=True)
"""


def start_writer(directory: Path, ref: CollectionRef, name: str, batches: int) -> subprocess.Popen[str]:
    """A writer that is ready and waits for a line."""
    arguments = [str(directory), ref.namespace_id, ref.collection_id, name, str(batches), str(BATCH)]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()


def test_two_processes_write_at_once_and_nothing_is_lost(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    writers = [start_writer(directory, ref, name, batches=BATCHES) for name in ("ant", "bee")]
    for writer in writers:
        go(writer)
    outputs = [writer.communicate(timeout=30)[0].split() for writer in writers]
    assert outputs == [[str(batch) for batch in range(BATCHES)]] * 2
    hits = [store.search_text(ref, name, limit=2 * BATCHES * BATCH).documents for name in ("ant", "bee")]
    assert [len(documents) for documents in hits] == [BATCHES * BATCH] * 2
    assert store.count(ref) == 2 * BATCHES * BATCH + 1
    (ant_from, ant_to), (bee_from, bee_to) = (
        (min(times), max(times))
        for times in ([d.payload["_internal"]["created_at"] for d in h] for h in hits)
    )
    assert ant_from < bee_to and bee_from < ant_to  # they did write at the same time


def test_kill_9_keeps_what_was_acknowledged_and_no_half_batch(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    writer = start_writer(directory, ref, "ant", batches=100_000)
    go(writer)
    assert writer.stdout is not None
    for _ in range(15):
        writer.stdout.readline()
    writer.kill()
    acknowledged = 15 + len(writer.communicate(timeout=10)[0].split())
    stored = [d.payload["batch"] for d in store.select(ref, limit=1_000_000) if d.document_id != "shared"]
    batches = set(stored)
    assert batches in (set(range(acknowledged)), set(range(acknowledged + 1)))
    assert all(stored.count(batch) == BATCH for batch in batches)
    assert store.search_text(ref, "ant", limit=1_000_000).found == len(stored)
    store.upsert(ref, [DocumentWrite("after", {})])  # the lock of the killed writer is free


def test_an_open_reader_sees_what_another_has_committed(
    store: DocumentStore, other_store: DocumentStore, ref: CollectionRef
) -> None:
    assert store.get(ref, ["doc_1"]) == []
    other_store.upsert(ref, [DocumentWrite("doc_1", {"text": "word"})])
    assert (
        len(store.get(ref, ["doc_1"]))
        == store.count(ref)
        == store.search_text(ref, "word", limit=1).found
        == 1
    )


def in_child(action: Callable[[], object]) -> str:
    """What the action returned or raised in a forked child, as text."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = repr(action())
        except BaseException as error:
            answer = repr(error)
        os.write(write_end, answer.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def test_a_store_in_use_can_cross_a_fork(store: DocumentStore, ref: CollectionRef, directory: Path) -> None:
    def opened() -> int:
        """Here; those of other tests may be collected at any time."""
        return sum(each.filename.startswith(str(directory)) for each in apsw.connections())

    store.upsert(ref, [DocumentWrite("parent", {"n": 1})])
    inherited = opened()

    def child() -> tuple[list[str], int]:
        store.upsert(ref, [DocumentWrite("child", {"n": 2})])
        found = [document.document_id for document in store.select(ref, limit=9)]
        return found, opened() - inherited

    assert in_child(child) == "(['child', 'parent'], 1)"  # by a connection of its own
    store.upsert(ref, [DocumentWrite("parent_again", {"n": 3})])
    assert store.count(ref) == 3


def test_a_fork_in_the_middle_of_a_write_does_not_keep_the_turn(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    read_end, write_end = os.pipe()
    with write_turn(directory / ref.namespace_id / f"{ref.collection_id}.db", wait_s=1):
        child = os.fork()
        if child == 0:  # lives on with a copy of the lock's descriptor until the pipe closes
            os.close(write_end)
            os.read(read_end, 1)
            os._exit(0)
    store.upsert(ref, [DocumentWrite("doc_1", {})])
    os.close(write_end)
    os.close(read_end)
    os.waitpid(child, 0)


@pytest.mark.parametrize("suffix", [".lock", ".gate"])
def test_a_writer_waits_a_bounded_time(
    store: DocumentStore, ref: CollectionRef, directory: Path, suffix: str
) -> None:
    impatient = SqliteDocumentStore(directory, write_wait_s=0.0)
    lock = directory / ref.namespace_id / f"{ref.collection_id}{suffix}"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="busy"):
            impatient.upsert(ref, [DocumentWrite("doc_1", {})])
        assert impatient.count(ref) == 0  # readers do not queue
    impatient.upsert(ref, [DocumentWrite("doc_1", {})])


def test_a_writer_that_comes_straight_back_queues_behind_one_that_waits(tmp_path: Path) -> None:
    path, order = tmp_path / "x.db", []

    def other_writer() -> None:
        with write_turn(path, wait_s=10):
            order.append("other")

    other = threading.Thread(target=other_writer)
    with write_turn(path, wait_s=10):
        other.start()
        while not is_locked(path.with_suffix(".gate")):  # until the other stands behind the gate
            assert other.is_alive()
    with write_turn(path, wait_s=10):
        order.append("again")
    other.join()
    assert order == ["other", "again"]


def is_locked(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
