"""The two sides of the search benchmark on a small collection: they are asked the same and find the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.by_hand import ByHand, copy_collection
from benchmarks.corpus import Corpus
from benchmarks.measures.search import is_same
from benchmarks.pipelines import HITS, Search
from shared.documents import CollectionRef, DocumentStore
from shared.documents.sqlite.store import SqliteDocumentStore

REF = CollectionRef("ns_bench", "col_bench")
COUNT = 400


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    filled = SqliteDocumentStore(tmp_path)
    filled.create_collection(REF)
    filled.upsert(REF, Corpus().documents(0, COUNT))
    return filled


@pytest.fixture
def hand(store: DocumentStore, tmp_path: Path) -> Iterator[ByHand]:
    copy = tmp_path / "copy.db"
    copy_collection(tmp_path / REF.namespace_id / f"{REF.collection_id}.db", copy)
    with contextlib.closing(ByHand(copy)) as opened:
        yield opened


def test_a_corpus_is_the_same_every_time() -> None:
    first, second = Corpus(), Corpus()
    assert first.documents(0, 3) == second.documents(0, 3)
    assert first.queries(2) == second.queries(2)
    assert first.documents(3, 1) != Corpus().documents(3, 1)  # it goes on


def test_an_execution_finds_what_sql_by_hand_finds(store: DocumentStore, hand: ByHand) -> None:
    for query in Corpus().queries(5):
        vector = Search(store, REF, "vector").hits(query)
        assert len(vector) == HITS
        assert is_same(vector, hand.vector(query.vector, HITS))
        assert is_same(vector, hand.scan(query.vector, HITS))
        assert is_same(Search(store, REF, "hybrid").hits(query), hand.hybrid(query.words, query.vector, HITS))


def test_words_are_found_by_hand_as_by_kennel(store: DocumentStore, hand: ByHand) -> None:
    [query] = Corpus().queries(1)
    words = Search(store, REF, "words").hits(query)
    assert words
    assert is_same(words, hand.text(query.words, HITS))


def test_documents_written_by_hand_are_found(hand: ByHand) -> None:
    corpus = Corpus()
    replaced, new = corpus.documents(0, 1) + corpus.documents(COUNT, 1)
    hand.upsert([replaced, new])
    assert hand.execute("SELECT count(*) FROM documents") == [(COUNT + 1,)]
    for written in (replaced, new):
        vector = written.vectors["near"] if written.vectors else []
        [(document_id, _, score)] = hand.vector([float(each) for each in vector], 1)
        assert (document_id, round(score, 5)) == (written.document_id, 1.0)


def test_differences_are_seen() -> None:
    ours, theirs = (
        [("a", {"n": 1}, 0.5), ("b", {"n": 2}, 0.4)],
        [("a", b'{"n":1}', 0.5), ("b", b'{"n":2}', 0.4)],
    )
    assert is_same(ours, theirs)
    assert not is_same([ours[0]], theirs)
    assert not is_same([], [])
    assert not is_same([("a", {"n": 1}, 0.51), ours[1]], theirs)
    assert not is_same([("a", {"n": 3}, 0.5), ours[1]], theirs)
    assert not is_same([("c", {"n": 1}, 0.5), ours[1]], theirs)
    assert is_same([ours[0], ("c", {"n": 9}, 0.4)], theirs)  # where scores tie at the cut, either may be in
