"""Texts that wait for their embedding: what enters the outbox, what leaves it, and that nothing is stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import (
    Backlog,
    CollectionRef,
    DocumentStore,
    DocumentWrite,
    PendingText,
    TextEmbedding,
    VectorIndex,
)
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import NotFound, Unavailable

REF = CollectionRef("ns_test", "col_embedded")
MODEL = "tiny"
FAR_MS = 10**15


def embed(text: str) -> list[float]:
    """Tells the text apart."""
    return [float(len(text)), float(sum(map(ord, text)))]


@pytest.fixture
def embedded(store: DocumentStore) -> DocumentStore:
    store.create_collection(REF, TextEmbedding(MODEL, 2))
    return store


def upsert(store: DocumentStore, document_id: str, vectors: Any = None, /, **fields: Any) -> int:
    return store.upsert(REF, [DocumentWrite(document_id, fields, vectors or {})]).awaiting


def waiting(store: DocumentStore) -> list[str]:
    return [each.text for each in store.pending_texts(REF, 100, now_ms=FAR_MS)]


def work(store: DocumentStore) -> int:
    texts = store.pending_texts(REF, 100, now_ms=FAR_MS)
    return store.store_embeddings(REF, [(text, embed(text.text)) for text in texts])


def vector_of(store: DocumentStore, document_id: str) -> Any:
    return store.get_vectors(REF, [document_id]).get(document_id, {}).get(MODEL)


def test_a_new_text_waits_and_is_searchable_once_embedded(embedded: DocumentStore) -> None:
    assert embedded.shape(REF).embedding == TextEmbedding(MODEL, 2)
    assert embedded.shape(REF).indexes == (VectorIndex(MODEL, 2, False),)
    assert upsert(embedded, "a", text="hello") == 1
    assert embedded.searchable_at(REF, ["a"]) == {"a": None}
    backlog = embedded.backlog(REF)
    assert (backlog.count, backlog.oldest_seq, backlog.failed) == (1, 1, 0)
    assert backlog.oldest_at_ms is not None
    assert work(embedded) == 1
    assert vector_of(embedded, "a") == embed("hello")
    assert embedded.backlog(REF) == Backlog()
    assert embedded.searchable_at(REF, ["a"])["a"] is not None


def test_the_same_text_keeps_its_vector_and_another_one_loses_it_at_once(embedded: DocumentStore) -> None:
    upsert(embedded, "a", text="hello")
    work(embedded)
    since = embedded.searchable_at(REF, ["a"])
    assert upsert(embedded, "a", text="hello", title="new") == 0
    assert (vector_of(embedded, "a"), embedded.searchable_at(REF, ["a"])) == (embed("hello"), since)
    assert upsert(embedded, "a", text="goodbye") == 1
    assert (vector_of(embedded, "a"), embedded.searchable_at(REF, ["a"])) == (None, {"a": None})
    assert work(embedded) == 1
    assert vector_of(embedded, "a") == embed("goodbye")


def test_an_embedding_of_an_older_text_is_dropped(embedded: DocumentStore) -> None:
    upsert(embedded, "a", text="old")
    [old] = embedded.pending_texts(REF, 10, now_ms=FAR_MS)
    upsert(embedded, "a", text="new")
    assert embedded.store_embeddings(REF, [(old, embed("old"))]) == 0
    assert (vector_of(embedded, "a"), waiting(embedded)) == (None, ["new"])


def test_an_embedding_of_a_deleted_document_is_dropped(embedded: DocumentStore) -> None:
    upsert(embedded, "a", text="old")
    [old] = embedded.pending_texts(REF, 10, now_ms=FAR_MS)
    embedded.delete(REF, ["a"])
    assert embedded.store_embeddings(REF, [(old, embed("old"))]) == 0
    assert (embedded.backlog(REF), vector_of(embedded, "a")) == (Backlog(), None)


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": "  \n"}, {"text": 7}, {"title": "x"}])
def test_without_a_text_there_is_nothing_to_wait_for(embedded: DocumentStore, fields: dict[str, Any]) -> None:
    assert upsert(embedded, "a", **fields) == 0
    assert embedded.searchable_at(REF, ["a"])["a"] is not None
    assert upsert(embedded, "b", text="hello") == 1
    assert upsert(embedded, "b", **fields) == 0
    assert (embedded.backlog(REF), vector_of(embedded, "b")) == (Backlog(), None)


def test_a_callers_own_vector_wins_until_the_document_is_written_without_it(embedded: DocumentStore) -> None:
    assert upsert(embedded, "a", {MODEL: [1.0, 2.0], "own": [3.0]}, text="hello") == 0
    assert embedded.get_vectors(REF, ["a"]) == {"a": {MODEL: [1.0, 2.0], "own": [3.0]}}
    assert upsert(embedded, "a", {"own": [4.0]}, text="hello") == 1
    assert embedded.get_vectors(REF, ["a"]) == {"a": {"own": [4.0]}}
    work(embedded)
    assert embedded.get_vectors(REF, ["a"]) == {"a": {MODEL: embed("hello"), "own": [4.0]}}
    assert upsert(embedded, "a", {"own": [5.0]}, text="hello") == 0
    assert embedded.get_vectors(REF, ["a"]) == {"a": {MODEL: embed("hello"), "own": [5.0]}}


def test_which_text_is_embedded(store: DocumentStore) -> None:
    for fields, expected in (
        ((), ["t"]),
        (("title", "meta.notes", "missing"), ["x\none\ntwo"]),
    ):
        store.drop_collection(REF)
        store.create_collection(REF, TextEmbedding(MODEL, 2, fields))
        upsert(store, "a", title="x", text="t", content="c", meta={"notes": ["one", "two"]})
        assert waiting(store) == expected
    store.drop_collection(REF)
    store.create_collection(REF, TextEmbedding(MODEL, 2))
    upsert(store, "a", text=" ", content="c")
    assert waiting(store) == ["c"]


def test_texts_come_oldest_first_and_only_when_they_are_due(embedded: DocumentStore) -> None:
    for name in "abc":
        upsert(embedded, name, text=name)
    first = embedded.pending_texts(REF, 2, now_ms=1)
    assert [(each.write_seq, each.text) for each in first] == [(1, "a"), (2, "b")]
    embedded.postpone(REF, first, until_ms=5_000)
    assert [each.text for each in embedded.pending_texts(REF, 9, now_ms=4_999)] == ["c"]
    assert [each.text for each in embedded.pending_texts(REF, 9, now_ms=5_000)] == ["a", "b", "c"]
    assert embedded.backlog(REF).failed == 2
    upsert(embedded, "a", text="again")  # a new text is due at once
    assert [each.text for each in embedded.pending_texts(REF, 9, now_ms=1)] == ["c", "again"]


def test_only_so_much_of_large_documents_is_read_at_a_time(embedded: DocumentStore) -> None:
    for name in "abc":
        upsert(embedded, name, text=name, other="x" * 9_000_000)
    assert waiting(embedded) == ["a", "b"]
    assert (work(embedded), waiting(embedded)) == (2, ["c"])


def test_writes_have_growing_numbers(embedded: DocumentStore) -> None:
    first = embedded.upsert(REF, [DocumentWrite("a", {"text": "x"}), DocumentWrite("b", {"text": "y"})])
    second = embedded.upsert(REF, [DocumentWrite("a", {"text": "x"})])
    assert (first.write_seq, first.awaiting, second.write_seq, second.awaiting) == (1, 2, 2, 0)


def test_one_embeds_at_a_time(embedded: DocumentStore, other_store: DocumentStore) -> None:
    with embedded.embedding_turn(REF) as mine, other_store.embedding_turn(REF) as also_mine:
        assert (mine, also_mine) == (True, False)
    with other_store.embedding_turn(REF) as mine:
        assert mine
    with pytest.raises(NotFound), embedded.embedding_turn(CollectionRef("ns_test", "nope")):
        pass


def test_what_fails_in_a_turn_comes_out_as_it_is(embedded: DocumentStore) -> None:
    with pytest.raises(Unavailable, match="the model"), embedded.embedding_turn(REF):
        raise Unavailable("the model is away")


def test_a_file_that_cannot_be_read_hides_no_other_backlog(embedded: DocumentStore, directory: Path) -> None:
    upsert(embedded, "a", text="waits")
    (directory / "ns_test" / "col_a_damaged.db").write_bytes(b"no database" * 100)
    (directory / "ns_test" / "a copy of mine.db").write_bytes(b"")
    assert embedded.behind() == [REF]


def test_a_given_vector_goes_with_the_write_that_leaves_it_out(embedded: DocumentStore) -> None:
    """Also where there is no text to put in its place."""
    for text in ("", "hello"):
        upsert(embedded, "a", {MODEL: [1.0, 2.0]}, text=text)
        assert vector_of(embedded, "a") == [1.0, 2.0]
        upsert(embedded, "a", text="")
        assert vector_of(embedded, "a") is None


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_vector_is_always_that_of_the_stored_text(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = SqliteDocumentStore(tmp_path_factory.mktemp("outbox"))
    store.create_collection(REF, TextEmbedding(MODEL, 2))
    texts: dict[str, str] = {}
    taken: list[PendingText] = []
    for _ in range(data.draw(st.integers(1, 12))):
        name = data.draw(st.sampled_from("abc"))
        step = data.draw(st.sampled_from(["write", "write", "delete", "take", "store"]))
        if step == "write":
            text = data.draw(st.sampled_from(["", "x", "yy", "zzz"]))
            upsert(store, name, text=text)
            texts[name] = text
        elif step == "delete":
            store.delete(REF, [name])
            texts.pop(name, None)
        elif step == "take":
            taken = store.pending_texts(REF, 100, now_ms=FAR_MS)
        else:
            store.store_embeddings(REF, [(each, embed(each.text)) for each in taken])
        vectors = {name: vector_of(store, name) for name in texts}
        waits = set(waiting(store))
        for name, text in texts.items():
            assert vectors[name] in (None, embed(text))
            assert (text.strip() == "" or vectors[name] is not None) == (
                store.searchable_at(REF, [name])[name] is not None
            )
            if text.strip():
                assert (vectors[name] is None) <= (text in waits)
    work(store)
    assert store.backlog(REF) == Backlog()
    assert {name: vector_of(store, name) for name in texts} == {
        name: embed(text) if text.strip() else None for name, text in texts.items()
    }
