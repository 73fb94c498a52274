"""Search over many documents, in this process: executions of Kennel beside the engine called directly."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.bench import Bench, in_turns
from benchmarks.by_hand import ByHand, copy_collection
from benchmarks.corpus import SHARES, VECTOR_NAME, Corpus, Query
from benchmarks.figures import BenchError, Row, Target, at_most
from benchmarks.measures.search_load import measure_load
from benchmarks.pipelines import HITS, Search
from shared.documents import CollectionRef
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.store import DocumentStore
from shared.filters import Filter, parse_filter

Hit = tuple[str, Any, float]  # document id, payload, score
Ask = Callable[[Query], Sequence[tuple[str, Any, float]]]
_BATCH = 1_000
_FAST = 4  # times as many repetitions where a query takes a millisecond
_REF = CollectionRef("ns_bench", "col_bench")
_TARGET = at_most(1.3)
_SCORES_DIFFER = 1e-5  # Kennel rounds to six decimals, sqlite-vec sums float32 in another order
_PASSING = (500, 50, 1)  # thousandths of all documents: 50 %, 5 %, 0.1 %


@dataclass(frozen=True, slots=True)
class _Pair:
    """One question, asked of both."""

    name: str
    kennel: Callable[[Query], object]
    baseline: Callable[[Query], object]
    target: Target | None = _TARGET


def measure(bench: Bench) -> list[Row]:
    corpus, directory = Corpus(), bench.directory / "search"
    store = SqliteDocumentStore(directory)
    _fill(store, corpus, 0, bench.effort.documents)
    copy = bench.directory / "by_hand.db"
    copy_collection(directory / _REF.namespace_id / f"{_REF.collection_id}.db", copy)
    queries = corpus.queries(bench.effort.repetitions * _FAST)
    rows = _at_rest(store, copy, bench.effort.documents, queries)
    rows += measure_load(store, _REF, copy, corpus, queries, bench.effort)
    store.drop_collection(_REF)
    return rows + _larger(directory, corpus, bench.effort.large_documents, queries[::_FAST])


def _at_rest(store: DocumentStore, copy: Path, count: int, queries: Sequence[Query]) -> list[Row]:
    hand = ByHand(copy)
    try:
        _check_same(store, hand, queries)
        group = f"{count:,} documents: {HITS} hits with payloads / SQL by hand on the same rows"
        rows = [_compare(group, pair, queries) for pair in _pairs(store, hand)]
        group = f"{count:,} documents: vector search of a filter / sqlite-vec by hand"
        return rows + [_compare(group, pair, queries[::_FAST]) for pair in _filtered_pairs(store, hand)]
    finally:
        hand.close()


def _pairs(store: DocumentStore, hand: ByHand) -> list[_Pair]:
    words, vector, hybrid = (Search(store, _REF, kind).run for kind in ("words", "vector", "hybrid"))
    return [
        _Pair("words, an execution", words, _by_words(hand)),
        _Pair("words, the store alone", _store_text(store), _by_words(hand)),
        _Pair("vector, an execution / vec0", vector, _by_vector(hand)),
        _Pair("vector, the store alone / vec0", _store_vector(store, None), _by_vector(hand)),
        _Pair("vector, an execution / plain rows", vector, lambda query: hand.scan(query.vector, HITS)),
        _Pair("hybrid, an execution", hybrid, _hybrid(hand)),
    ]


def _filtered_pairs(store: DocumentStore, hand: ByHand) -> list[_Pair]:
    pairs = []
    for share in _PASSING:
        ours = _store_vector(store, _below(share))
        name = f"{share / SHARES:.1%} pass"
        pairs += [
            _Pair(f"{name} / vec0", ours, lambda query, share=share: hand.vector(query.vector, HITS, share)),
            _Pair(
                f"{name} / plain rows", ours, lambda query, share=share: hand.scan(query.vector, HITS, share)
            ),
        ]
    return pairs


def _compare(group: str, pair: _Pair, queries: Sequence[Query]) -> Row:
    """Each query of both, alternating; wall time, because a vector search works on several cores."""
    sides: list[tuple[Callable[[Query], object], list[float]]] = [(pair.kennel, []), (pair.baseline, [])]
    for query in queries:
        for ask, taken_ms in in_turns(1, sides):
            taken_ms.append(_took_ms(lambda ask=ask, query=query: ask(query)))
    (_, kennel), (_, baseline) = sides
    return Row(group, pair.name, "ms", kennel, baseline, pair.target)


def _check_same(store: DocumentStore, hand: ByHand, queries: Sequence[Query]) -> None:
    """Raises BenchError when the two do not find the same documents."""
    both: list[tuple[str, Ask, Ask]] = [
        ("words", Search(store, _REF, "words").hits, _by_words(hand)),
        ("vector", Search(store, _REF, "vector").hits, _by_vector(hand)),
        ("hybrid", Search(store, _REF, "hybrid").hits, _hybrid(hand)),
    ]
    both += [
        (
            f"vector of {share}",
            lambda query, share=share: _store_hits(store, query, share),
            lambda query, share=share: hand.scan(query.vector, HITS, share),
        )
        for share in _PASSING
    ]
    for name, kennel, baseline in both:
        for query in queries:
            if not is_same(kennel(query), baseline(query)):
                raise BenchError(f"{name}: Kennel and SQL found other documents for {query.words!r}")


def is_same(ours: Sequence[Hit], theirs: Sequence[tuple[str, bytes, float]]) -> bool:
    """Whether scores agree at each rank, and documents wherever no tie lets them differ."""
    if len(ours) != len(theirs) or not ours:
        return False
    least = theirs[-1][2] + _SCORES_DIFFER
    expected = {document_id: orjson.loads(raw) for document_id, raw, _ in theirs}
    return all(
        abs(our[2] - their[2]) < _SCORES_DIFFER for our, their in zip(ours, theirs, strict=True)
    ) and all(payload == expected.get(document_id) for document_id, payload, score in ours if score > least)


def _larger(directory: Path, corpus: Corpus, count: int, queries: Sequence[Query]) -> list[Row]:
    """Kennel alone."""
    store = SqliteDocumentStore(directory)
    group = f"{count:,} documents: Kennel alone"
    fill_s = _took_ms(lambda: _fill(store, corpus, 0, count)) / 1_000
    first_ms = _took_ms(lambda: _store_vector(store, None)(queries[0]))
    rows = [
        Row(group, "documents stored, with making them up", "1/s", [count / fill_s]),
        Row(group, "vectors read into memory, once", "ms", [first_ms]),
        Row(group, "memory of the vectors", "MB", [_vectors_mb(directory, queries[0])]),
    ]
    asks: dict[str, Callable[[Query], object]] = {
        kind: Search(store, _REF, kind).run for kind in ("words", "vector", "hybrid")
    }
    asks |= {f"vector, {share / SHARES:.1%} pass": _store_vector(store, _below(share)) for share in _PASSING}
    without_memory = SqliteDocumentStore(directory, vector_cache_bytes=0)
    asks["vector, read from the file each time"] = _store_vector(without_memory, None)
    return rows + [
        Row(group, name, "ms", [_took_ms(lambda ask=ask, query=query: ask(query)) for query in queries])
        for name, ask in asks.items()
    ]


def _vectors_mb(directory: Path, query: Query) -> float:
    """What a process keeps after its first vector search. Traced: the file is mapped into memory, too."""
    store = SqliteDocumentStore(directory)
    tracemalloc.start()
    try:
        _store_vector(store, None)(query)
        return tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()


def _fill(store: DocumentStore, corpus: Corpus, first: int, count: int) -> None:
    store.create_collection(_REF)
    for start in range(first, first + count, _BATCH):
        store.upsert(_REF, corpus.documents(start, min(_BATCH, first + count - start)))


def _by_words(hand: ByHand) -> Ask:
    return lambda query: hand.text(query.words, HITS)


def _by_vector(hand: ByHand) -> Ask:
    return lambda query: hand.vector(query.vector, HITS)


def _hybrid(hand: ByHand) -> Ask:
    return lambda query: hand.hybrid(query.words, query.vector, HITS)


def _store_text(store: DocumentStore) -> Callable[[Query], object]:
    return lambda query: store.search_text(_REF, query.words, limit=HITS)


def _store_vector(store: DocumentStore, where: Filter | None) -> Callable[[Query], object]:
    return lambda query: store.search_vector(_REF, VECTOR_NAME, [query.vector], where=where, limit=HITS)


def _store_hits(store: DocumentStore, query: Query, share: int) -> list[Hit]:
    found = store.search_vector(_REF, VECTOR_NAME, [query.vector], where=_below(share), limit=HITS)
    return [(each.document_id, each.payload, each.score or 0.0) for each in found.documents]


def _below(share: int) -> Filter | None:
    return parse_filter({"field": "share", "operator": "lt", "value": share}, loc=("filters",))


def _took_ms(act: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    act()
    return (time.perf_counter() - began_s) * 1_000
