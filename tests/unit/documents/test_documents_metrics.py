"""Declared vectors: which may be written, and what a search by each metric scores."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.documents import (
    CollectionRef,
    DocumentStore,
    DocumentWrite,
    TextEmbedding,
    VectorConfig,
    VectorIndex,
)
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.errors import InvalidInput

REF = CollectionRef("ns_test", "col_declared")
CONFIGS = [VectorConfig("a", 2, "dot_product"), VectorConfig("b", 3, "euclidean"), VectorConfig("c", 2)]
METRICS: list[Any] = ["cosine", "dot_product", "euclidean"]
# Few numbers, all exact in float32, so that scores tie often.
numbers = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 1000.0])
vectors = st.lists(numbers, min_size=3, max_size=3)


@pytest.fixture
def declared(store: DocumentStore) -> DocumentStore:
    store.create_collection(REF, declared=CONFIGS)
    return store


def write(store: DocumentStore, document_id: str, **named: Any) -> None:
    store.upsert(REF, [DocumentWrite(document_id, {}, named)])


def expected_score(metric: str, one: list[float], other: list[float]) -> float:
    product = math.fsum(left * right for left, right in zip(one, other, strict=True))
    if metric == "dot_product":
        return round(product, 6)
    if metric == "euclidean":
        return float(f"{1 / (1 + math.dist(one, other)):.6g}")
    lengths = math.hypot(*one) * math.hypot(*other)
    return round(product / lengths, 6) if lengths else 0.0


@settings(max_examples=60)
@pytest.mark.parametrize("metric", METRICS)
@given(
    st.lists(st.lists(vectors, min_size=1, max_size=2), min_size=1, max_size=5),
    st.lists(vectors, min_size=1, max_size=2),
)
def test_a_search_scores_as_the_metric_says(
    metric: Any, stored: list[list[list[float]]], queries: list[list[float]]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteDocumentStore(Path(directory))
        store.create_collection(REF, declared=[VectorConfig("v", 3, metric)])
        for number, several in enumerate(stored):
            write(store, f"d{number}", v=several)
        hits = store.search_vector(REF, "v", queries, limit=9).documents
    scores = {
        f"d{number}": max(expected_score(metric, one, other) for one in several for other in queries)
        for number, several in enumerate(stored)
    }
    assert {hit.document_id: hit.score for hit in hits} == pytest.approx(scores, rel=2e-6, abs=2e-6)
    assert hits == sorted(hits, key=lambda hit: (-(hit.score or 0.0), hit.document_id))


def test_the_length_of_a_vector_counts_for_all_metrics_but_cosine(declared: DocumentStore) -> None:
    write(declared, "long", a=[4, 0], b=[4, 0, 0], c=[4, 0])
    write(declared, "near", a=[1, 0], b=[1, 0, 0], c=[1, 1])

    def found(name: str, query: list[float]) -> list[tuple[str, float | None]]:
        hits = declared.search_vector(REF, name, [query], limit=2).documents
        return [(hit.document_id, hit.score) for hit in hits]

    assert found("a", [1, 0]) == [("long", 4.0), ("near", 1.0)]
    assert found("b", [1, 0, 0]) == [("near", 1.0), ("long", 0.25)]
    assert found("c", [1, 0]) == [("long", 1.0), ("near", 0.707107)]


def test_near_vectors_far_from_the_origin_keep_their_distance(declared: DocumentStore) -> None:
    write(declared, "d", b=[8192.0, 8192.0, 8192.5])
    [hit] = declared.search_vector(REF, "b", [[8192.0, 8192.0, 8192.0]], limit=1).documents
    assert hit.score == 0.666667


def test_far_vectors_keep_their_order(declared: DocumentStore) -> None:
    for place in range(3):
        write(declared, f"d{place}", b=[100_000.0 - 100 * place, 0, 0])
    hits = declared.search_vector(REF, "b", [[0, 0, 0]], limit=3).documents
    assert [hit.document_id for hit in hits] == ["d2", "d1", "d0"]


def test_a_product_beyond_float32_is_the_largest_there_is(declared: DocumentStore) -> None:
    write(declared, "d", a=[3e38, 3e38])
    for sign in (1, -1):
        [hit] = declared.search_vector(REF, "a", [[sign * 3e38, 0]], limit=1).documents
        assert hit.score == pytest.approx(sign * 3.4028235e38)


@pytest.mark.parametrize("vectors", [{"x": [1, 2]}, {"a": [1, 2, 3]}, {"a": [1, 2], "b": [[1], [2]]}])
def test_what_is_not_declared_is_refused_with_all_that_is(declared: DocumentStore, vectors: Any) -> None:
    with pytest.raises(InvalidInput, match=r"there are a \(2\), b \(3\), c \(2\)"):
        write(declared, "d", **vectors)
    assert declared.count(REF) == 0


def test_a_declared_name_takes_one_or_several_as_the_first_document_has_it(declared: DocumentStore) -> None:
    assert declared.search_vector(REF, "a", [[1, 0]], limit=1).documents == []
    write(declared, "d", a=[[1, 2], [3, 4]])
    assert declared.shape(REF).indexes == (
        VectorIndex("a", 2, True, "dot_product"),
        VectorIndex("b", 3, False, "euclidean"),
        VectorIndex("c", 2, False, "cosine"),
    )
    with pytest.raises(InvalidInput, match="a list of vectors is expected"):
        write(declared, "e", a=[1, 2])
    write(declared, "e", b=[1, 2, 3], c=[1, 2])


def test_the_embedding_of_a_collection_is_no_undeclared_vector(store: DocumentStore) -> None:
    store.create_collection(REF, TextEmbedding("words", 2), CONFIGS)
    store.upsert(REF, [DocumentWrite("d", {"text": "x"}, {"a": [1, 2]})])
    [pending] = store.pending_texts(REF, 9, now_ms=2**50)
    assert store.store_embeddings(REF, [(pending, [0.0, 1.0])]) == 1
    assert store.get_vectors(REF, ["d"]) == {"d": {"a": [1.0, 2.0], "words": [0.0, 1.0]}}


def test_no_declared_names_at_all_means_no_vectors(store: DocumentStore) -> None:
    store.create_collection(REF, declared=[])
    with pytest.raises(InvalidInput, match="are declared; there are none"):
        write(store, "d", a=[1])
