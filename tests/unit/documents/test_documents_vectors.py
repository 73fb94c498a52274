"""Vector search against the plain formula, in memory and out of it, while vectors come, change and go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, VectorIndex
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import InvalidInput
from shared.filters import Condition, Filter

NUMBERS = st.lists(st.floats(-2, 2, width=32).map(lambda x: round(x, 2)), min_size=3, max_size=3)
NAMESPACE = "ns_test"


def write(document_id: str, *vectors: Sequence[float], n: int = 0) -> DocumentWrite:
    return DocumentWrite(document_id, {"n": n}, {"v": list(vectors)})


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def search(
    store: DocumentStore,
    ref: CollectionRef,
    *queries: Sequence[float],
    limit: int = 10,
    where: Filter | None = None,
    keep: Filter | None = None,
) -> list[tuple[str, float]]:
    hits = store.search_vector(ref, "v", queries, where=where, keep=keep, limit=limit)
    return [(document.document_id, document.score or 0.0) for document in hits.documents]


@pytest.fixture(scope="module", params=[500_000_000, 0], ids=["in memory", "read each time"])
def each_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DocumentStore:
    return SqliteDocumentStore(tmp_path_factory.mktemp("vectors"), vector_cache_bytes=request.param)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_hits_are_those_of_the_formula_through_all_changes(
    each_store: DocumentStore, data: st.DataObject
) -> None:
    ref = CollectionRef(NAMESPACE, "col_property")
    each_store.drop_collection(ref)
    each_store.create_collection(ref)
    stored: dict[str, tuple[list[list[float]], int]] = {}
    for _ in range(data.draw(st.integers(1, 4))):
        batch = data.draw(
            st.dictionaries(
                st.sampled_from([f"d{i}" for i in range(9)]),
                st.tuples(st.lists(NUMBERS, min_size=1, max_size=3), st.integers(0, 2)),
                max_size=6,
            )
        )
        each_store.upsert(ref, [write(each, *vectors, n=n) for each, (vectors, n) in batch.items()])
        stored |= batch
        gone = data.draw(st.lists(st.sampled_from([f"d{i}" for i in range(9)]), max_size=2))
        each_store.delete(ref, gone)
        stored = {each: value for each, value in stored.items() if each not in gone}
        if not stored:
            continue
        queries = data.draw(st.lists(NUMBERS, min_size=1, max_size=2))
        limit = data.draw(st.integers(1, 12))
        wanted = data.draw(st.sampled_from([None, 0, 1, 2]))
        expected = {
            each: max(cosine(query, vector) for query in queries for vector in vectors)
            for each, (vectors, n) in stored.items()
            if wanted in (None, n)
        }
        where = None if wanted is None else Condition("n", "eq", wanted)
        found = search(each_store, ref, *queries, limit=limit, where=where)
        assert len(found) == min(limit, len(expected))
        assert dict(found) == {each: pytest.approx(expected[each], abs=2e-6) for each, _ in found}
        assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
        left_out = [score for each, score in expected.items() if each not in dict(found)]
        assert not left_out or max(left_out) <= found[-1][1] + 2e-6


def test_ties_go_by_id_also_at_the_cut(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [write(f"d{number:02}", [3.0, 4.0]) for number in reversed(range(50))])
    assert search(store, ref, [6.0, 8.0], limit=3) == [("d00", 1.0), ("d01", 1.0), ("d02", 1.0)]


def test_scores_that_differ_by_less_than_they_are_rounded_tie(
    store: DocumentStore, ref: CollectionRef
) -> None:
    nearer, farther = [1.0, 0.0005], [1.0, 0.0007]  # cosines of 0.999999875 and 0.999999755
    store.upsert(ref, [write("b", nearer), write("a", farther), write("c", [1.0, 0.1])])
    assert search(store, ref, [1.0, 0.0], limit=1) == [("a", 1.0)]


def test_filters_before_the_cut_and_after_it(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [write(f"d{n}", [1.0, n / 10], n=n) for n in range(60)])
    even = Condition("n", "in", list(range(0, 60, 2)))
    assert [each for each, _ in search(store, ref, [1.0, 0.0], limit=3, where=even)] == ["d0", "d2", "d4"]
    last = Condition("n", "gte", 58)  # none of the best candidates passes
    assert [each for each, _ in search(store, ref, [1.0, 0.0], limit=3, where=last)] == ["d58", "d59"]
    hits = store.search_vector(ref, "v", [[1.0, 0.0]], keep=even, limit=3)
    assert ([document.document_id for document in hits.documents], hits.found) == (["d0", "d2"], 3)


def test_what_other_connections_write_is_found_at_once(
    store: DocumentStore, other_store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [write("a", [1.0, 0.0])])
    assert search(store, ref, [0.0, 1.0]) == [("a", 0.0)]
    other_store.upsert(ref, [write("b", [0.0, 2.0])])
    assert search(store, ref, [0.0, 1.0]) == [("b", 1.0), ("a", 0.0)]
    other_store.upsert(ref, [write("a", [0.0, 5.0])])
    assert search(store, ref, [0.0, 1.0]) == [("a", 1.0), ("b", 1.0)]
    other_store.delete(ref, ["a"])
    assert search(store, ref, [0.0, 1.0], limit=1) == [("b", 1.0)]


def test_a_collection_made_again_under_its_name_is_another(
    store: DocumentStore, other_store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [write("old", [1.0])])
    assert search(store, ref, [1.0]) == [("old", 1.0)]
    other_store.drop_collection(ref)
    other_store.create_collection(ref)
    other_store.upsert(ref, [write("new", [1.0])])
    assert search(store, ref, [1.0]) == [("new", 1.0)]


def test_bare_hits_have_no_payload(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [write("a", [1.0])])
    [bare] = store.search_vector(ref, "v", [[1.0]], limit=1, payloads=False).documents
    [full] = store.search_vector(ref, "v", [[1.0]], limit=1).documents
    assert (bare.document_id, bare.score, bare.raw) == (full.document_id, full.score, None)
    assert full.payload["n"] == 0


def test_a_name_keeps_the_shape_of_its_first_vector(store: DocumentStore, ref: CollectionRef) -> None:
    uri = "mixpeek://text_extractor@v1/words"
    store.upsert(ref, [DocumentWrite("a", {}, {uri: [1.0, 2.0], "m": [[1.0], [2.0]]})])
    assert store.shape(ref).indexes == (VectorIndex("words", 2, False), VectorIndex("m", 1, True))
    assert store.get_vectors(ref, ["a"]) == {"a": {"words": [1.0, 2.0], "m": [[1.0], [2.0]]}}
    assert store.get_vectors(ref, ["a"], [uri]) == {"a": {"words": [1.0, 2.0]}}
    for vectors, message in (
        ({"words": [1.0]}, "1 dimensions, those of this name in the collection have 2"),
        ({"words": [[1.0, 2.0]]}, "one vector is expected"),
        ({"m": [1.0]}, "a list of vectors is expected"),
        ({"m": [[1.0], [1.0, 2.0]]}, "same number of dimensions"),
        ({"m": [[]]}, "1 to 65536 numbers"),
    ):
        with pytest.raises(InvalidInput, match=message):
            store.upsert(ref, [DocumentWrite("b", {}, vectors)])  # type: ignore[arg-type]
    assert store.count(ref) == 1


def test_a_query_that_does_not_fit_is_refused(store: DocumentStore, ref: CollectionRef) -> None:
    store.upsert(ref, [write("a", [1.0, 2.0])])
    with pytest.raises(InvalidInput, match="no vectors named 'x'"):
        store.search_vector(ref, "x", [[1.0]], limit=1)
    with pytest.raises(InvalidInput, match="the query has 1 dimensions, the vectors 'v' have 2"):
        store.search_vector(ref, "v", [[1.0]], limit=1)


@pytest.mark.parametrize("number", [1e39, -1e39, math.inf, math.nan])
def test_a_query_that_float32_cannot_hold_is_refused(
    store: DocumentStore, ref: CollectionRef, number: float
) -> None:
    store.upsert(ref, [write("a", [1.0, 2.0])])
    with pytest.raises(InvalidInput, match="finite number that fits float32"):
        store.search_vector(ref, "v", [[1.0, 1.0], [number, 1.0]], limit=1)


def test_more_query_vectors_than_a_document_may_have_are_refused(
    store: DocumentStore, ref: CollectionRef
) -> None:
    store.upsert(ref, [write("a", [1.0, 2.0])])
    assert search(store, ref, *[[1.0, 2.0]] * 1000) == [("a", 1.0)]
    with pytest.raises(InvalidInput, match="the query has 1001 vectors; send at most 1000"):
        search(store, ref, *[[1.0, 2.0]] * 1001)


def test_a_collection_too_large_for_memory_displaces_no_other(tmp_path: Path) -> None:
    store = SqliteDocumentStore(tmp_path, vector_cache_bytes=200 * (4 * 2 + 16))
    sizes = {CollectionRef(NAMESPACE, name): size for name, size in {"col_s": 100, "col_l": 201}.items()}
    for ref, size in sizes.items():
        store.create_collection(ref)
        store.upsert(ref, [write(f"d{n}", [1.0, n / size]) for n in range(size)])
    small, large = sizes
    held = None
    for ref in (small, large, large, small):
        assert search(store, ref, [1.0, 0.0], limit=1) == [("d0", 1.0)]
        [matrix] = store._matrices._matrices.values()
        held = held or matrix
        assert matrix is held


def test_a_collection_that_grows_too_large_for_memory_is_read_from_the_file(tmp_path: Path) -> None:
    max_bytes = 200 * (4 * 2 + 16)
    store = SqliteDocumentStore(tmp_path, vector_cache_bytes=max_bytes)
    ref = CollectionRef(NAMESPACE, "col_grows")
    store.create_collection(ref)
    kept = []
    for first in range(0, 300, 60):
        store.upsert(ref, [write(f"d{n:03}", [1.0, (n + 1) / 300]) for n in range(first, first + 60)])
        assert len(search(store, ref, [1.0, 0.0], limit=500)) == first + 60
        matrices = list(store._matrices._matrices.values())
        assert sum(each.size_bytes for each in matrices) <= max_bytes
        search(store, ref, [1.0, 0.0])
        kept.append(len(store._matrices._matrices))
    assert kept == [1, 1, 1, 0, 0]
    store.delete(ref, [f"d{n:03}" for n in range(150)])
    assert search(store, ref, [1.0, 0.0], limit=1)[0][0] == "d150"
    assert len(store._matrices._matrices) == 1


def test_a_view_from_before_a_change_sees_what_was_there(tmp_path: Path) -> None:
    """Another thread may have read the vectors in between, without those that were replaced."""
    store, ref = SqliteDocumentStore(tmp_path), CollectionRef(NAMESPACE, "col_view")
    store.create_collection(ref)
    store.upsert(ref, [write("a", [1.0, 0.0]), write("b", [0.0, 1.0])])
    connection = store._handles.connection(ref)
    with ThreadPoolExecutor(1) as other, connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchall() == [(2,)]
        other.submit(store.upsert, ref, [write("a", [0.6, 0.8])]).result()
        assert other.submit(search, store, ref, [1.0, 0.0]).result() == [("a", 0.6), ("b", 0.0)]
        assert search(store, ref, [1.0, 0.0]) == [("a", 1.0), ("b", 0.0)]
    assert search(store, ref, [1.0, 0.0]) == [("a", 0.6), ("b", 0.0)]


def test_the_memory_for_vectors_is_bounded(tmp_path: Path) -> None:
    one_matrix = 100 * (4 * 8 + 16)
    store = SqliteDocumentStore(tmp_path, vector_cache_bytes=2 * one_matrix)
    refs = [CollectionRef(NAMESPACE, f"col_{number}") for number in range(4)]
    for number, ref in enumerate(refs):
        store.create_collection(ref)
        store.upsert(ref, [write(f"d{n}", [1.0] * 7 + [n * number / 10]) for n in range(100)])
    for ref in [*refs, *refs]:
        assert search(store, ref, [1.0] * 7 + [0.0], limit=1) == [("d0", 1.0)]
        matrices = store._matrices._matrices.values()
        assert sum(each.size_bytes for each in matrices) <= 2 * one_matrix
        assert matrices
