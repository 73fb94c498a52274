"""Text search: what counts as text, what the query means, how filters and ties behave."""

from __future__ import annotations

from typing import Any

import pytest

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.sqlite.text import match_expression
from shared.documents.store import MAX_QUERY_TERMS
from shared.filters import Condition


def fill(store: DocumentStore, ref: CollectionRef, **fields_by_id: dict[str, Any]) -> None:
    store.upsert(ref, [DocumentWrite(name, fields) for name, fields in fields_by_id.items()])


def found(store: DocumentStore, ref: CollectionRef, query: str, **options: Any) -> list[str]:
    return [d.document_id for d in store.search_text(ref, query, **{"limit": 10, **options}).documents]


def test_all_texts_of_the_user_are_searched_and_nothing_else(
    store: DocumentStore, ref: CollectionRef
) -> None:
    fill(store, ref, d1={"alpha": "beta", "deep": [{"list": ["gamma"]}], "number": 42}, d2={})
    assert [found(store, ref, word) for word in ("beta", "gamma")] == [["d1"], ["d1"]]
    assert [found(store, ref, word) for word in ("alpha", "42", "d1", "direct_upsert", ref.namespace_id)] == [
        []
    ] * 5


def test_words_match_by_stem_without_case_or_accents(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, d1={"text": "The DOGS ran to Zürich"}, d2={"text": "cats"})
    assert [found(store, ref, query) for query in ("dog", "zurich", "Dogs! cat")] == [
        ["d1"],
        ["d1"],
        ["d2", "d1"],
    ]


@pytest.mark.parametrize("query", ["", "   ", "!?*()\"'", "\x00", "😀"])
def test_a_query_without_words_finds_nothing(store: DocumentStore, ref: CollectionRef, query: str) -> None:
    fill(store, ref, d1={"text": "word !? 😀"})
    hits = store.search_text(ref, query, limit=10)
    assert (hits.documents, hits.found) == ([], 0)


@pytest.mark.parametrize(
    "query", ['dog" OR "cat', "dog AND NOT x", "NEAR(dog", "body:dog", "dog*", "-dog", "dog\x00cat"]
)
def test_the_syntax_of_the_index_has_no_power(store: DocumentStore, ref: CollectionRef, query: str) -> None:
    fill(store, ref, d1={"text": "dog"}, d2={"text": "mouse"})
    assert found(store, ref, query) == ["d1"]


def test_stop_words_do_not_count_and_the_number_of_terms_is_bounded() -> None:
    assert match_expression("What is the use of dogs, dogs?") == '"use" OR "dogs" OR "dogs"'
    assert match_expression("To be, or not to be") == '"to" OR "be" OR "or" OR "not" OR "to" OR "be"'
    expression = match_expression(" ".join(f"w{number}" for number in range(1000)))
    assert expression is not None
    assert expression.count('"') == 2 * MAX_QUERY_TERMS
    assert expression.startswith('"w0" OR "w1"')


def test_a_word_counts_as_often_as_it_is_said(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, d1={"t": "dog"}, d2={"t": "cat"}, d3={"t": "x"}, d4={"t": "y"}, d5={"t": "z"})
    once, twice = store.search_text(ref, "dog", limit=1), store.search_text(ref, "dog dogs", limit=1)
    assert twice.documents[0].score == pytest.approx(2 * (once.documents[0].score or 0))
    assert found(store, ref, "cat dog dog") == ["d1", "d2"]


def test_hits_without_payloads_are_the_same(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, d1={"t": "dog"}, d2={"t": "dog cat"}, d3={"t": "mouse"})
    full, bare = (store.search_text(ref, "dog", limit=9, payloads=each) for each in (True, False))
    assert [(d.document_id, d.score) for d in bare.documents] == [
        (d.document_id, d.score) for d in full.documents
    ]
    assert [d.raw for d in bare.documents] == [None, None]


def test_scores_are_positive_and_fall(store: DocumentStore, ref: CollectionRef) -> None:
    fill(
        store,
        ref,
        d1={"t": "dog cat"},
        d2={"t": "dog dog cat mouse"},
        d3={"t": "cat"},
        d4={"t": "x"},
        d5={"t": "y"},
    )
    scores = [document.score or 0 for document in store.search_text(ref, "dog cat", limit=10).documents]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0


def test_equal_scores_go_by_document_id_even_at_the_cut(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, **{name: {"text": "same words"} for name in ("d5", "d2", "d4", "d1", "d3")})
    assert found(store, ref, "words", limit=3) == ["d1", "d2", "d3"]


def test_where_filters_before_the_cut_and_keep_after_it(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, **{f"d{number}": {"text": "word", "n": number} for number in range(6)})
    odd = Condition("n", "in", [1, 3, 5])
    before = store.search_text(ref, "word", where=odd, limit=2)
    after = store.search_text(ref, "word", keep=odd, limit=2)
    both = store.search_text(ref, "word", where=odd, keep=Condition("n", "gt", 1), limit=2)
    assert ([d.document_id for d in before.documents], before.found) == (["d1", "d3"], 2)
    assert ([d.document_id for d in after.documents], after.found) == (["d1"], 2)
    assert ([d.document_id for d in both.documents], both.found) == (["d3"], 2)


def test_hits_are_whole_documents(store: DocumentStore, ref: CollectionRef) -> None:
    fill(store, ref, d1={"text": "word"})
    assert [d.raw for d in store.search_text(ref, "word", limit=1).documents] == [
        store.get(ref, ["d1"])[0].raw
    ]
