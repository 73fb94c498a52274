"""The document store through its protocol: writing, reading, deleting, vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, open_document_store
from shared.documents.stored import content_hash
from shared.errors import InvalidInput, NotFound
from shared.filters import Condition
from shared.settings import Settings


def write(number: int, **fields: Any) -> DocumentWrite:
    return DocumentWrite(f"doc_{number}", fields)


def ids(documents: list[Any]) -> list[str]:
    return [document.document_id for document in documents]


def test_a_stored_document_has_the_shape_that_the_api_returns(
    store: DocumentStore, ref: CollectionRef
) -> None:
    fields = {"title": "x", "metadata": {"n": 1.0, "big": 2**64 - 1}, "tags": ["é", None]}
    [document] = store.upsert(
        ref, [DocumentWrite("doc_1", fields, system={"_acl": {"public": True}})]
    ).documents
    internal = document.payload["_internal"]
    assert document.payload == {
        "document_id": "doc_1",
        "collection_id": ref.collection_id,
        **fields,
        "_internal": {
            "lineage": {"source_type": "direct_upsert"},
            "content_hash": content_hash(fields),
            "_acl": {"public": True},
            "created_at": internal["created_at"],
            "updated_at": internal["created_at"],
            "namespace_id": ref.namespace_id,
            "collection_id": ref.collection_id,
            "document_id": "doc_1",
        },
    }
    assert list(document.payload)[:2] == ["document_id", "collection_id"]


def test_what_is_read_is_byte_for_byte_what_was_written(store: DocumentStore, ref: CollectionRef) -> None:
    texts = ["\x00", '"\\/', "\u2028 é 😀", "</script>"]
    [written] = store.upsert(
        ref, [write(1, numbers=[1, 1.0, -0.0, 1e300, 5e-324, 2**63], texts=texts)]
    ).documents
    [read] = store.get(ref, ["doc_1"])
    assert (read.raw, read.document_id, read.collection_id) == (written.raw, "doc_1", ref.collection_id)
    assert [document.raw for document in store.select(ref, limit=1)] == [written.raw]


def test_get_keeps_the_order_asked_and_leaves_out_the_missing(
    store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [write(number) for number in range(5)])
    assert ids(store.get(ref, ["doc_3", "doc_9", "doc_0", "doc_3"])) == ["doc_3", "doc_0", "doc_3"]
    assert store.get(ref, []) == []


def test_replacing_keeps_created_at_and_leaves_nothing_of_the_old(
    store: DocumentStore, ref: CollectionRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"])
    monkeypatch.setattr("shared.clock.iso", lambda _: next(times))
    store.upsert(ref, [write(1, old="alpha"), write(2)])
    [document] = store.upsert(ref, [write(1, new="beta")]).documents
    assert "old" not in document.payload
    assert document.payload["_internal"]["created_at"] == "2026-01-01T00:00:00.000Z"
    assert document.payload["_internal"]["updated_at"] == "2026-01-02T00:00:00.000Z"
    assert store.count(ref) == 2
    assert store.search_text(ref, "alpha", limit=9).documents == []
    assert ids(store.search_text(ref, "beta", limit=9).documents) == ["doc_1"]


def test_an_id_twice_in_one_batch_keeps_the_last(store: DocumentStore, ref: CollectionRef) -> None:
    returned = store.upsert(ref, [write(1, text="first"), write(2), write(1, text="last")]).documents
    assert ids(returned) == ["doc_1", "doc_2", "doc_1"]
    assert [d.payload["text"] for d in store.get(ref, ["doc_1"])] == ["last"]
    assert store.search_text(ref, "first", limit=9).found == 0


@pytest.mark.parametrize("document_id", ["a/b", "../x", "urn:isbn:0-395-36341-1", "naïve café", "x" * 255])
def test_documents_are_the_users_to_name(store: DocumentStore, ref: CollectionRef, document_id: str) -> None:
    store.upsert(ref, [DocumentWrite(document_id, {"n": 1})])
    assert ids(store.get(ref, [document_id])) == [document_id]
    assert store.delete(ref, [document_id]) == [document_id]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (DocumentWrite("a\nb", {}), "is no document id"),
        (DocumentWrite("", {}), "is no document id"),
        (DocumentWrite("doc_2", {"_internal": {}}), "set by the server"),
        (DocumentWrite("doc_2", {"document_id": "doc_9"}), "set by the server"),
        (DocumentWrite("doc_2", {"x": object()}), "JSON"),
        (DocumentWrite("doc_2", {"x": 2**64}), "JSON"),
        (DocumentWrite("doc_2", {"x": "\ud800"}), "JSON"),
        (DocumentWrite("doc_2", {}, {"v": []}), "1 to 65536 numbers"),
        (DocumentWrite("doc_2", {}, {"v": [1.0, float("nan")]}), "finite"),
        (DocumentWrite("doc_2", {}, {"v": [1e39]}), "float32"),
        (DocumentWrite("doc_2", {}, {"v": ["1"]}), "finite number"),  # type: ignore[list-item]
        (DocumentWrite("doc_2", {}, {"": [1.0]}), "vector name"),
    ],
)
def test_a_refused_document_refuses_its_batch(
    store: DocumentStore, ref: CollectionRef, bad: DocumentWrite, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        store.upsert(ref, [write(1, text="good"), bad])
    assert store.count(ref) == 0
    assert store.search_text(ref, "good", limit=1).found == 0


def test_delete_returns_the_ids_that_existed_and_forgets_text_and_vectors(
    store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [DocumentWrite(f"doc_{n}", {"text": "word"}, {"v": [n]}) for n in range(4)])
    assert store.delete(ref, ["doc_2", "doc_9", "doc_0", "doc_2"]) == ["doc_2", "doc_0"]
    assert ids(store.search_text(ref, "word", limit=9).documents) == ["doc_1", "doc_3"]
    assert sorted(store.get_vectors(ref, [f"doc_{n}" for n in range(4)])) == ["doc_1", "doc_3"]
    [document] = store.upsert(ref, [write(2)]).documents
    assert store.get_vectors(ref, ["doc_2"]) == {}
    assert document.payload["_internal"]["created_at"] == document.payload["_internal"]["updated_at"]


def test_vectors_are_kept_replaced_and_chosen_by_name(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [DocumentWrite("doc_1", {}, {"a": [0.5, -2], "b": [3]})])
    store.upsert(ref, [DocumentWrite("doc_1", {"text": "new"}, None)])
    assert store.get_vectors(ref, ["doc_1", "doc_2"]) == {"doc_1": {"a": [0.5, -2.0], "b": [3.0]}}
    assert store.get_vectors(ref, ["doc_1"], ["b", "c"]) == {"doc_1": {"b": [3.0]}}
    assert store.get_vectors(ref, ["doc_1"], []) == {}
    store.upsert(ref, [DocumentWrite("doc_1", {}, {"c": [1]})])
    assert store.get_vectors(ref, ["doc_1"]) == {"doc_1": {"c": [1.0]}}
    store.upsert(ref, [DocumentWrite("doc_1", {}, {})])
    assert store.get_vectors(ref, ["doc_1"]) == {}


def test_ids_and_times_are_filtered_like_any_field(store: DocumentStore, ref: CollectionRef) -> None:
    documents = store.upsert(ref, [write(number, n=number) for number in range(3)]).documents
    now = documents[0].payload["_internal"]["updated_at"]
    assert store.count(ref, Condition("document_id", "in", ["doc_0", "doc_2"])) == 2
    assert store.count(ref, Condition("collection_id", "eq", ref.collection_id)) == 3
    assert store.count(ref, Condition("_internal.created_at", "lte", now)) == 3
    assert store.count(ref, Condition("payload.n", "gt", 0)) == 2


def test_collections_and_namespaces_are_apart(store: DocumentStore, ref: CollectionRef) -> None:
    others = [CollectionRef(ref.namespace_id, "col_other"), CollectionRef("ns_other", ref.collection_id)]
    for other in others:
        store.create_collection(other)
    store.upsert(ref, [write(1)])
    assert [store.count(each) for each in (ref, *others)] == [1, 0, 0]


def test_creating_twice_keeps_the_documents(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [write(1)])
    store.create_collection(ref)
    assert store.count(ref) == 1


def test_dropping_is_idempotent_and_leaves_no_file(
    store: DocumentStore, ref: CollectionRef, directory: Path
) -> None:
    store.upsert(ref, [write(1)])
    store.drop_collection(ref)
    store.drop_collection(ref)
    assert list((directory / ref.namespace_id).iterdir()) == []
    store.drop_namespace(ref.namespace_id)
    store.drop_namespace("ns_unknown")
    assert list(directory.iterdir()) == []


def test_dropping_a_namespace_drops_its_collections(store: DocumentStore, ref: CollectionRef) -> None:
    kept = CollectionRef("ns_other", "col_other")
    store.create_collection(kept)
    store.drop_namespace(ref.namespace_id)
    assert store.count(kept) == 0
    with pytest.raises(NotFound):
        store.count(ref)


UNKNOWN = CollectionRef("ns_test", "col_unknown")


@pytest.mark.parametrize("ref", [UNKNOWN, CollectionRef("ns_unknown", "col_test")])
@pytest.mark.parametrize(
    "call",
    [
        lambda store, ref: store.upsert(ref, [write(1)]),
        lambda store, ref: store.get(ref, ["doc_1"]),
        lambda store, ref: store.get_vectors(ref, ["doc_1"]),
        lambda store, ref: store.delete(ref, ["doc_1"]),
        lambda store, ref: store.count(ref),
        lambda store, ref: store.select(ref, limit=1),
        lambda store, ref: store.search_text(ref, "word", limit=1),
        lambda store, ref: store.search_text(ref, "", limit=1),
    ],
    ids=["upsert", "get", "get_vectors", "delete", "count", "select", "search_text", "empty search"],
)
def test_an_unknown_collection_is_not_found_and_leaves_no_file(
    store: DocumentStore, directory: Path, ref: CollectionRef, call: Any
) -> None:
    before = sorted(directory.rglob("*"))
    with pytest.raises(NotFound, match=ref.collection_id):
        call(store, ref)
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a.b", "é", "x" * 129, "a\n", "a\x00"])
def test_ids_that_must_not_be_file_names_are_refused(store: DocumentStore, bad: str) -> None:
    with pytest.raises(InvalidInput, match="letters, digits"):
        CollectionRef(bad, "col_1")
    with pytest.raises(InvalidInput, match="letters, digits"):
        CollectionRef("ns_1", bad)
    with pytest.raises(InvalidInput, match="letters, digits"):
        store.drop_namespace(bad)


def test_equal_content_has_an_equal_hash() -> None:
    assert content_hash({"a": 1, "b": {"x": 1, "y": 2}}) == content_hash({"b": {"y": 2, "x": 1}, "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_the_settings_say_where_documents_are(tmp_path: Path, ref: CollectionRef) -> None:
    store = open_document_store(Settings(data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []
    store.create_collection(ref)
    assert (tmp_path / "documents" / ref.namespace_id / f"{ref.collection_id}.db").is_file()
    assert orjson.loads(store.upsert(ref, [write(1)]).documents[0].raw or b"")["document_id"] == "doc_1"
