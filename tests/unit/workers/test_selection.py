"""Questions to the engine: what they can hold."""

from __future__ import annotations

from typing import Any

import pytest

from shared.documents import DocumentStore
from shared.filters import Condition, SortKey
from tests.unit.workers.pipelines import execute, fill, stage
from workers.documents.selection import Selection
from workers.search.fused import FusedSearch, Search
from workers.search.rankers import ByWords

ANY = Condition("year", "gt", 0)


def search(**over: Any) -> dict[str, Any]:
    one = {"feature_uri": "text", "lexical": True, "query": {"value": "trains"}, **over}
    return stage("search", "feature_search", searches=[one])


def fused(*searches: Search) -> FusedSearch:
    return FusedSearch(searches, "rrf", 10, lambda ref: None)


def found(execution: dict[str, Any]) -> list[tuple[str, str]]:
    assert execution["error"] is None
    return [(each["collection_id"], each["document_id"]) for each in execution["documents"]]


@pytest.mark.parametrize(("bm25", "expected"), [(0.0, 0.0), (10.0, 0.5), (90.0, 0.9)])
def test_relevance_is_between_nought_and_one(bm25: float, expected: float) -> None:
    assert ByWords("").relevance(bm25) == expected


def test_what_the_engine_cannot_do_is_left_to_the_stages() -> None:
    both = Selection([object(), object()])  # type: ignore[list-item]
    one = Selection([object()])  # type: ignore[list-item]
    query = fused(Search(ByWords("trains"), 10))
    scored = fused(Search(ByWords("trains"), 10, 0.5))
    for selection in (one, both):
        searched = selection.searched(query)
        assert searched is not None
        assert searched.searched(query) is None
        assert searched.sorted_by(SortKey("year")) is None
        narrowed = selection.filtered(ANY)
        assert narrowed is not None and narrowed.where == ANY
    assert one.searched(query).filtered(ANY).keep == ANY  # type: ignore[union-attr]
    assert one.searched(query).filtered(Condition("score", "gt", 0)) is None  # type: ignore[union-attr]
    assert one.searched(scored).filtered(ANY) is None  # type: ignore[union-attr]
    assert both.searched(query).filtered(ANY) is None  # type: ignore[union-attr]
    assert both.sorted_by(SortKey("a")).sorted_by(SortKey("b")) is None  # type: ignore[union-attr]


def test_a_least_score_leaves_out_what_is_below(store: DocumentStore) -> None:
    texts = {"doc_a": "trains trains trains", "doc_b": "trains and much else that is said of other things"}
    fill(store, "col_scores", {**{k: {"text": v} for k, v in texts.items()}, "doc_c": {"text": "ships"}})
    whole = execute(store, [search()], ["col_scores"])
    assert found(whole) == [("col_scores", "doc_a"), ("col_scores", "doc_b")]
    between = ByWords("").relevance(sum(each["score"] for each in whole["documents"]) / 2)
    assert found(execute(store, [search(min_score=between)], ["col_scores"])) == [("col_scores", "doc_a")]
    assert found(execute(store, [search(min_score=1)], ["col_scores"])) == []


def test_a_filter_behind_a_search_sees_its_scores(store: DocumentStore) -> None:
    by_score = stage("keep", "attribute_filter", field="score", operator="gt", value=0)
    assert len(found(execute(store, [search(), by_score], ["col_books"]))) == 12


def test_a_search_among_documents_does_not_find_their_namesakes(store: DocumentStore) -> None:
    """Two collections may hold documents of one id, of which only one was passed on."""
    fill(
        store, "col_1", {"doc_x": {"text": "trains", "year": 1}, "doc_y": {"text": "trains ships", "year": 1}}
    )
    fill(store, "col_2", {"doc_x": {"text": "trains", "year": 2}})
    first = stage("first", "feature_search", searches=[], final_top_k=100)
    keep = stage("keep", "attribute_filter", field="payload.year", operator="eq", value=1)
    best = stage("search", "feature_search", **search()["parameters"], final_top_k=2)
    refs = ["col_1", "col_2"]
    assert found(execute(store, [first, keep, best], refs)) == [("col_1", "doc_x"), ("col_1", "doc_y")]
    assert found(execute(store, [keep, best], refs)) == [("col_1", "doc_x"), ("col_1", "doc_y")]
