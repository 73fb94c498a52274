"""Changes of stored documents: what they keep, what they replace, and that none undoes another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, TextEmbedding
from shared.documents.changes import DocumentChange, FieldChange, assigning, merging, placed
from shared.documents.stored import content_hash
from shared.errors import InvalidInput, NotFound
from shared.filters import Condition

EMBEDDED = CollectionRef("ns_test", "col_embedded")
MODEL = "words"


@pytest.fixture
def embedding_store(store: DocumentStore) -> DocumentStore:
    store.create_collection(EMBEDDED, TextEmbedding(MODEL, 2))
    return store


def counting(name: str) -> FieldChange:
    """Adds one to a field: wrong as soon as two of them read the same value."""
    return lambda fields: {**fields, name: fields[name] + 1}


def changed(store: DocumentStore, ref: CollectionRef, change: FieldChange, document_id: str = "a") -> Any:
    [document] = store.change(ref, {document_id: DocumentChange(change)}).documents
    return document.payload


@pytest.mark.parametrize(
    ("fields", "given", "result"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": None}, {"a": 1, "b": 3, "c": None}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3}}),
        ({"metadata": {"x": 1, "y": 2}}, {"metadata": {"x": None, "z": 3}}, {"metadata": {"y": 2, "z": 3}}),
        ({"metadata": {"x": {"deep": 1}}}, {"metadata": {"x": {"new": 1}}}, {"metadata": {"x": {"new": 1}}}),
        ({"metadata": {"x": None}}, {"metadata": {}}, {"metadata": {"x": None}}),
        ({}, {"metadata": {"x": None, "y": 1}}, {"metadata": {"y": 1}}),
        ({"metadata": "text"}, {"metadata": {"y": 1}}, {"metadata": {"y": 1}}),
        ({"metadata": {"x": 1}}, {"metadata": None}, {"metadata": None}),
    ],
)
def test_merging_replaces_fields_and_merges_metadata(fields: Any, given: Any, result: Any) -> None:
    assert merging(given)(fields) == result


@pytest.mark.parametrize(
    ("fields", "given", "result"),
    [
        ({"metadata": {"x": 1, "y": 2}}, {"metadata.x": 3}, {"metadata": {"x": 3, "y": 2}}),
        ({"metadata": {"x": 1, "y": 2}}, {"metadata": {"x": 3}}, {"metadata": {"x": 3}}),
        ({}, {"a.b.c": 1, "a.b.d": 2}, {"a": {"b": {"c": 1, "d": 2}}}),
        ({"a": None}, {"a.b": None}, {"a": {"b": None}}),
        ({"a": [1]}, {"a": {"b": 1}, "a.c": 2}, {"a": {"b": 1, "c": 2}}),
    ],
)
def test_assigning_sets_what_a_dotted_key_names_and_replaces_the_rest(
    fields: Any, given: Any, result: Any
) -> None:
    assert assigning(given)(fields) == result


@pytest.mark.parametrize(("value", "kind"), [([1], "a list"), ("x", "a single value"), (0, "a single value")])
def test_a_dotted_key_does_not_overwrite_what_has_no_fields(value: Any, kind: str) -> None:
    with pytest.raises(InvalidInput, match=rf"a\.b is {kind}, which has no fields"):
        assigning({"a.b.c": 1})({"a": {"b": value}})


json_objects = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner)),
)


@given(json_objects, st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers())
def test_placed_sets_one_path_and_leaves_its_argument_alone(
    fields: Any, parts: list[str], value: int
) -> None:
    before = repr(fields)
    try:
        result = placed(fields, parts, value)
    except InvalidInput:
        return
    finally:
        assert repr(fields) == before
    for part in parts:
        result = result[part]
    assert result == value


def test_a_change_keeps_what_it_does_not_name(store: DocumentStore, ref: CollectionRef) -> None:
    system = {"lineage": {"source_type": "bucket", "root_object_id": "o"}, "metadata": {"by": "x"}}
    [before] = store.upsert(
        ref, [DocumentWrite("a", {"title": "old", "n": 1}, {"own": [1.0, 0.0]}, system)]
    ).documents
    change = DocumentChange(merging({"title": "new"}), lineage={"root_object_id": "p"}, system={"v": "2"})
    [after] = store.change(ref, {"a": change}).documents
    assert (after.payload["title"], after.payload["n"]) == ("new", 1)
    internal = after.payload["_internal"]
    assert internal["lineage"] == {"source_type": "bucket", "root_object_id": "p"}
    assert (internal["metadata"], internal["v"]) == ({"by": "x"}, "2")
    assert internal["created_at"] == before.payload["_internal"]["created_at"]
    assert internal["content_hash"] == content_hash({"title": "new", "n": 1})
    assert store.get(ref, ["a"])[0].raw == after.raw
    assert store.get_vectors(ref, ["a"]) == {"a": {"own": [1.0, 0.0]}}
    assert [hit.document_id for hit in store.search_text(ref, "new", limit=1).documents] == ["a"]
    assert store.search_text(ref, "old", limit=1).found == 0


def test_a_content_hash_of_the_writer_stays(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [DocumentWrite("a", {"n": 1}, system={"content_hash": "mine"})])
    assert changed(store, ref, merging({"n": 2}))["_internal"]["content_hash"] == "mine"


def test_the_embedding_follows_the_text_alone(embedding_store: DocumentStore) -> None:
    store = embedding_store
    store.upsert(EMBEDDED, [DocumentWrite("a", {"text": "one", "n": 1}, {"own": [1.0]})])
    store.store_embeddings(
        EMBEDDED, [(each, [1.0, 0.0]) for each in store.pending_texts(EMBEDDED, 9, now_ms=2**50)]
    )
    assert store.change(EMBEDDED, {"a": DocumentChange(merging({"n": 2}))}).awaiting == 0
    assert store.get_vectors(EMBEDDED, ["a"]) == {"a": {"own": [1.0], MODEL: [1.0, 0.0]}}
    assert store.change(EMBEDDED, {"a": DocumentChange(merging({"text": "two"}))}).awaiting == 1
    assert store.get_vectors(EMBEDDED, ["a"]) == {"a": {"own": [1.0]}}
    assert [each.text for each in store.pending_texts(EMBEDDED, 9, now_ms=2**50)] == ["two"]


def test_an_own_vector_in_place_of_the_embedding_stays(embedding_store: DocumentStore) -> None:
    store = embedding_store
    store.upsert(EMBEDDED, [DocumentWrite("a", {"text": "one"}, {MODEL: [0.0, 1.0]})])
    assert store.change(EMBEDDED, {"a": DocumentChange(merging({"text": "two"}))}).awaiting == 0
    assert store.get_vectors(EMBEDDED, ["a"]) == {"a": {MODEL: [0.0, 1.0]}}
    assert store.backlog(EMBEDDED).count == 0


def test_no_concurrent_change_is_lost(
    store: DocumentStore, other_store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [DocumentWrite("a", {"n": 0, "m": 0})])
    jobs = [(each, name) for each in (store, other_store) for name in ("n", "m")] * 15
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: changed(job[0], ref, counting(job[1])), jobs))
    [document] = store.get(ref, ["a"])
    assert (document.payload["n"], document.payload["m"]) == (30, 30)


def test_what_refuses_its_change_stays_and_the_others_are_changed(
    store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [DocumentWrite("a", {"m": "text"}), DocumentWrite("b", {"m": {"x": 1}})])
    change = DocumentChange(assigning({"m.y": 2}))
    outcome = store.change(ref, {"a": change, "b": change, "c": change})
    assert [each.payload["m"] for each in outcome.documents] == [{"x": 1, "y": 2}]
    assert list(outcome.refused) == ["a"]
    assert store.get(ref, ["a"])[0].payload["m"] == "text"


def test_matching_documents_are_changed_page_by_page(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [DocumentWrite(f"d{n}", {"n": n, "seen": 0}) for n in range(7)])
    change, where, after, pages = DocumentChange(counting("seen")), Condition("n", "gte", 2), "", []
    for _ in range(4):
        outcome = store.change_matching(ref, change, where=where, after=after, limit=2)
        pages.append([each.document_id for each in outcome.documents])
        after = outcome.last_id or after
    assert pages == [["d2", "d3"], ["d4", "d5"], ["d6"], []]
    assert [each.payload["seen"] for each in store.select(ref, limit=9)] == [0, 0, 1, 1, 1, 1, 1]


def test_a_change_of_an_unknown_collection_is_not_found(store: DocumentStore) -> None:
    with pytest.raises(NotFound):
        store.change(CollectionRef("ns_test", "col_other"), {"a": DocumentChange(merging({}))})
