"""sort_relevance: which score, in which direction, and where documents without it stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.filters import SortKey
from shared.models.document import Document
from tests.unit.workers.alone import Alone, document, documents_of, refused_when_rendered, refused_when_saved
from workers.stages.sort_relevance import SortRelevance, SortRelevanceParameters

MIXED = [document("a"), document("b", 1.0), document("c", 3.0), document("d"), document("e", 2.0)]


def order_of(**parameters: object) -> object:
    return SortRelevance(SortRelevanceParameters.model_validate(parameters)).order(())


@pytest.mark.parametrize(
    ("direction", "missing", "expected"),
    [
        ("desc", "bottom", "cebad"),
        ("desc", "top", "adceb"),
        ("desc", "preserve", "acedb"),
        ("asc", "bottom", "becad"),
        ("asc", "top", "adbec"),
        ("asc", "preserve", "abedc"),
    ],
)
def test_documents_without_a_score_go_where_they_are_told(
    direction: str, missing: str, expected: str
) -> None:
    given_documents = list(MIXED)
    assert Alone(SortRelevance).ids(MIXED, direction=direction, missing_score=missing) == list(expected)
    assert given_documents == MIXED


def test_equal_scores_go_by_document_id() -> None:
    assert Alone(SortRelevance).ids([document("b", 1.0), document("a", 1.0)]) == ["a", "b"]
    assert Alone(SortRelevance).ids([document("b", 1.0), document("a", 1.0)], direction="asc") == ["a", "b"]


def test_a_score_beside_the_document_hides_one_inside_of_it() -> None:
    reranked = [
        document("a", scores={"rerank": 9}).with_attached_at("scores.rerank", 1),
        document("b", scores={"rerank": 2}),
        document("c", scores={"rerank": 0}).with_attached_at("scores.mmr", 5),
    ]
    assert Alone(SortRelevance).ids(reranked, score_field="scores.rerank") == ["b", "a", "c"]


@given(st.lists(st.none() | st.integers(0, 3), max_size=8))
def test_preserving_moves_no_document_without_a_score(scores: list[int | None]) -> None:
    documents = documents_of(scores, "rating")
    found = Alone(SortRelevance).run(documents, score_field="rating", missing_score="preserve").documents
    kept = [found[place] is documents[place] for place, score in enumerate(scores) if score is None]
    assert all(kept)
    ratings = [document.payload["rating"] for document in found]
    assert [each for each in ratings if each is not None] == sorted(
        (each for each in scores if each is not None), reverse=True
    )


def test_keyset_pages_may_go_by_its_key_unless_places_are_preserved() -> None:
    assert order_of() == (SortKey("score", "desc", True),)
    assert order_of(missing_score="top", direction="asc") == (SortKey("score", "asc", False),)
    assert order_of(missing_score="preserve") is None


def test_the_deprecated_parameter_is_accepted_only_at_null() -> None:
    assert refused_when_saved(SortRelevance, {"feature_address": None}) == {}
    assert refused_when_saved(SortRelevance, {"feature_address": "null"}) == {}  # what the typed client sends
    assert list(refused_when_saved(SortRelevance, {"feature_address": "a"})) == ["feature_address"]
    assert "feature_address" in refused_when_rendered(SortRelevance, {"feature_address": "a"})


@pytest.mark.parametrize("path", ["", "a..b", ".", "a.", ".".join("x" * 21), "x" * 256])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert list(refused_when_saved(SortRelevance, {"score_field": path})) == ["score_field"]
    assert "score_field" in refused_when_rendered(SortRelevance, {"score_field": path})


def test_a_field_attached_at_a_path_leaves_what_is_beside_it() -> None:
    start: Document = document("a").with_attached(scores={"rerank": 1}, note="n")
    placed = (
        start.with_attached_at("scores.mmr", 2).with_attached_at("note.text", "t").with_attached_at("x", 3)
    )
    assert placed.attached == {"scores": {"rerank": 1, "mmr": 2}, "note": {"text": "t"}, "x": 3}
    assert start.attached == {"scores": {"rerank": 1}, "note": "n"}
