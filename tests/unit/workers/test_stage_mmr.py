"""mmr: relevance against diversity, by vectors, by several features, by fields, or by nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.errors import StageError
from shared.models.document import Document
from tests.unit.workers.alone import Alone, document, refused_when_rendered, refused_when_saved
from tests.unit.workers.pipelines import NAMESPACE
from workers.stages.mmr import Mmr, MmrParameters
from workers.stages.sort_relevance import SortRelevance

REF = CollectionRef(NAMESPACE, "col_vectors")
FEATURE = "mixpeek://text_extractor@v1/image"
FEATURES = [{"feature_uri": FEATURE}]
# a and b are nearly the same; c looks elsewhere; e has no vector of this feature.
VECTORS = {
    "a": {"image": [1.0, 0.0], "sound": [1.0, 0.0, 0.0]},
    "b": {"image": [2.0, 0.0], "sound": [0.0, 1.0, 0.0]},
    "c": {"image": [0.0, 3.0], "sound": [1.0, 0.0, 0.0]},
    "d": {"image": [0.0, 0.0]},
    "e": {"sound": [0.0, 0.0, 1.0]},
}
SCORES = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": 0.0}


@pytest.fixture(scope="module")
def vectors(store: DocumentStore) -> DocumentStore:
    store.create_collection(REF)
    store.upsert(REF, [DocumentWrite(name, {}, vectors=found) for name, found in VECTORS.items()])
    return store


def scored(names: str) -> list[Document]:
    return [Document(name, REF.collection_id, b"{}", score=SCORES[name]) for name in names]


def alone(store: DocumentStore, searched_feature: str | None = None) -> Alone:
    return Alone(Mmr, store, [REF.collection_id], searched_feature)


def chosen(documents: Sequence[Document]) -> dict[str, float]:
    """Document id -> its score in the stage, in the order of choice."""
    return {each.document_id: round(each.attached["scores"]["mmr"], 6) for each in documents}


def test_a_near_copy_comes_after_what_is_different(vectors: DocumentStore) -> None:
    """Relevances are 1, 0.5 and 0, cosines 1 (a, b) and 0 (with c); λ = 0.5."""
    stage = alone(vectors)
    found = stage.run(scored("abc"), **{"lambda": 0.5}, diversity_feature_uri=FEATURE).documents
    assert chosen(found) == {"a": 0.5, "c": 0.0, "b": -0.25}
    assert [each.score for each in found] == [4.0, 2.0, 3.0]
    assert (stage.warnings, stage.checks >= 3) == ([], True)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("cosine", {"a": 0.5, "b": -0.25, "c": 0.0}),
        ("dot", {"a": 0.5, "b": -0.75, "c": 0.0}),
        ("euclidean", {"a": 0.5, "b": 0.0, "c": round(-0.5 / (1 + 10**0.5), 6)}),
    ],
)
def test_each_metric(vectors: DocumentStore, metric: str, expected: dict[str, float]) -> None:
    """a = (1, 0), b = (2, 0), c = (0, 3): distances are 1 (a, b) and √10 (a, c)."""
    found = alone(vectors).run(
        scored("abc"), **{"lambda": 0.5}, diversity_feature_uri=FEATURE, similarity_metric=metric
    )
    assert chosen(found.documents) == expected


def test_what_has_no_vector_or_one_of_zeros_is_like_nothing(vectors: DocumentStore) -> None:
    found = alone(vectors).run(scored("abde"), **{"lambda": 0}, diversity_feature_uri=FEATURE).documents
    assert chosen(found) == {"a": 0.0, "d": 0.0, "e": 0.0, "b": -1.0}


def test_features_are_weighted(vectors: DocumentStore) -> None:
    features = [{"feature_uri": FEATURE, "weight": 0.75}, {"feature_uri": "sound", "weight": 0.25}]
    found = alone(vectors).run(scored("abc"), **{"lambda": 0}, diversity_features=features).documents
    assert chosen(found) == {"a": 0.0, "c": -0.25, "b": -0.75}
    sound = [{"feature_uri": FEATURE, "weight": 0}, {"feature_uri": "sound", "weight": 0.25}]
    found = alone(vectors).run(scored("abc"), **{"lambda": 0}, diversity_features=sound).documents
    assert chosen(found) == {"a": 0.0, "b": 0.0, "c": -1.0}


def test_the_feature_that_was_searched_is_the_default(vectors: DocumentStore) -> None:
    stage = alone(vectors, searched_feature=FEATURE)
    assert chosen(stage.run(scored("abc"), **{"lambda": 0.5}).documents) == {"a": 0.5, "c": 0.0, "b": -0.25}
    assert stage.warnings == []


KINDS = [
    document("a", 3.0, kind="x", tags=["p", "q"]),
    document("b", 2.0, kind="x", tags=["q"]),
    document("c", 1.0, kind="y", tags=["p", "q"]),
    document("d", 0.0),
]


def test_equal_fields_are_similar_and_lists_by_what_they_share(vectors: DocumentStore) -> None:
    by_kind = Alone(Mmr).run(KINDS, **{"lambda": 0}, diversity_fields=["kind"]).documents
    assert chosen(by_kind) == {"a": 0.0, "c": 0.0, "d": 0.0, "b": -1.0}
    by_tags = Alone(Mmr).run(KINDS, **{"lambda": 0}, diversity_fields=["tags"]).documents
    assert chosen(by_tags) == {"a": 0.0, "d": 0.0, "b": -0.5, "c": -1.0}


def test_fields_are_weighted() -> None:
    found = Alone(Mmr).run(
        KINDS, **{"lambda": 0}, diversity_fields=["kind", "tags"], diversity_field_weights={"tags": 0.5}
    )
    assert chosen(found.documents) == {"a": 0.0, "d": 0.0, "c": -0.333333, "b": -0.833333}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"diversity_feature_uri": "none/of_it"},
        {"diversity_fields": ["none.of_it"]},
        {"diversity_fields": ["kind"], "diversity_field_weights": {"kind": 0}},
    ],
)
def test_with_nothing_to_compare_by_relevance_alone_decides(
    vectors: DocumentStore, parameters: dict[str, Any]
) -> None:
    stage = alone(vectors)
    assert stage.ids(scored("cab"), **parameters) == ["a", "b", "c"]
    [warning] = stage.warnings
    assert warning.startswith("mmr: there is nothing to compare these documents by")


@given(st.lists(st.none() | st.integers(-2, 2), max_size=10), st.integers(1, 12))
def test_relevance_alone_is_the_order_of_relevance(scores: list[int | None], top_k: int) -> None:
    documents = [
        document(f"doc_{at:02}", score if score is None else float(score), kind=at % 2)
        for at, score in enumerate(scores)
    ]
    stage = Alone(Mmr)
    found = stage.ids(documents, **{"lambda": 1}, top_k=top_k, diversity_fields=["kind"])
    assert found == Alone(SortRelevance).ids(documents)[:top_k]
    assert stage.warnings == []


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["x", "y", None])), min_size=1, max_size=9),
    st.floats(0, 1),
    st.integers(1, 10),
)
def test_each_choice_is_the_best_of_what_is_left(
    rows: list[tuple[int, str | None]], relevance_weight: float, top_k: int
) -> None:
    """Against the formula written out, without arrays."""
    documents = [document(str(at), float(score), kind=kind) for at, (score, kind) in enumerate(rows)]
    found = (
        Alone(Mmr)
        .run(documents, **{"lambda": relevance_weight}, top_k=top_k, diversity_fields=["kind"])
        .documents
    )
    assert len(found) == min(top_k, len(documents))
    least, greatest = min(score for score, _ in rows), max(score for score, _ in rows)

    def value(each: Document, before: Sequence[Document]) -> float:
        score, kind = rows[int(each.document_id)]
        relevance = (score - least) / (greatest - least) if greatest > least else 1.0
        alike = any(kind is not None and kind == rows[int(other.document_id)][1] for other in before)
        return relevance_weight * relevance - (1 - relevance_weight) * alike

    for at, each in enumerate(found):
        taken = {other.document_id for other in found[:at]}
        left = [other for other in documents if other.document_id not in taken]
        assert each.attached["scores"]["mmr"] == pytest.approx(value(each, found[:at]))
        assert value(each, found[:at]) == pytest.approx(max(value(other, found[:at]) for other in left))


def test_its_score_stands_where_it_is_told_beside_what_was_there() -> None:
    given_document = document("a", 1.0, kind="x").with_attached(scores={"rerank": 7})
    [found] = Alone(Mmr).run([given_document], diversity_fields=["kind"]).documents
    assert found.attached == {"scores": {"rerank": 7, "mmr": 0.7}}
    [found] = Alone(Mmr).run([given_document], diversity_fields=["kind"], mmr_score_field="rank").documents
    assert found.attached == {"scores": {"rerank": 7}, "rank": 0.7}


def test_relevance_is_read_where_it_is_told() -> None:
    documents = [document("a", 9.0, stars=1), document("b", 1.0, stars=5), document("c", 5.0, stars="many")]
    stage = Alone(Mmr)
    assert stage.ids(documents, **{"lambda": 1}, score_field="stars") == ["b", "a", "c"]


def test_scores_that_are_far_apart_are_still_scaled() -> None:
    documents = [document("a", -1.7e308), document("b", 1.7e308), document("c", 0.0)]
    found = Alone(Mmr).run(documents, **{"lambda": 1}).documents
    assert chosen(found) == {"b": 1.0, "c": 0.5, "a": 0.0}


def test_vectors_of_different_lengths_are_an_error_that_names_both(vectors: DocumentStore) -> None:
    other = CollectionRef(NAMESPACE, "col_longer_vectors")
    vectors.create_collection(other)
    vectors.upsert(other, [DocumentWrite("f", {}, {"image": [1.0, 2.0, 3.0]})])
    documents = [*scored("a"), Document("f", other.collection_id, b"{}", score=0.0)]
    with pytest.raises(StageError, match="'a' has 2 numbers and 'f' has 3"):
        alone(vectors).run(documents, diversity_feature_uri=FEATURE)


def test_more_vectors_than_fit_are_refused(vectors: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.documents.similarity.VECTORS_MAX_BYTES", 3 * 2 * 8 - 1)
    with pytest.raises(StageError, match="pass fewer documents"):
        alone(vectors).run(scored("abc"), diversity_feature_uri=FEATURE)


@pytest.mark.parametrize(
    ("parameters", "place", "words"),
    [
        ({"diversity_feature_uri": "x", "diversity_fields": ["y"]}, "diversity_fields", "one of"),
        ({"diversity_feature_uri": "x", "diversity_features": FEATURES}, "diversity_features", "one of"),
        ({"diversity_features": FEATURES, "diversity_fields": ["y"]}, "diversity_fields", "one of"),
        ({"diversity_field_weights": {"y": 1}}, "diversity_field_weights", "not in diversity_fields"),
        ({"diversity_fields": []}, "diversity_fields", "at least 1"),
        ({"lambda": 1.5}, "lambda", "lambda"),
        ({"top_k": 501}, "top_k", "top_k"),
        ({"similarity_metric": "manhattan"}, "similarity_metric", "similarity_metric"),
        ({"relevance_weight": 0.5}, "relevance_weight", "relevance_weight"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(parameters: dict[str, Any], place: str, words: str) -> None:
    assert list(refused_when_saved(Mmr, parameters)) == [place]
    assert words in refused_when_rendered(Mmr, parameters)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"diversity_fields": ["x"], "diversity_field_weights": {"y": 1}}, "names 'y'"),
        ({"mmr_score_field": "payload.score"}, "'payload.score' is taken"),
        ({"mmr_score_field": "score"}, "'score' is taken"),
    ],
)
def test_what_a_schema_cannot_tell_is_refused_when_rendered(parameters: dict[str, Any], words: str) -> None:
    assert words in refused_when_rendered(Mmr, parameters)


def test_what_the_typed_client_sends_is_accepted() -> None:
    sent = {"lambda": 0.7, "top_k": 25, "diversity_feature_uri": "null", "score_field": "score",
            "mmr_score_field": "scores.mmr", "similarity_metric": "cosine"}  # fmt: skip
    assert refused_when_saved(Mmr, sent) == {}


def test_no_field_tells_its_order() -> None:
    assert Mmr(MmrParameters()).order(()) is None
