"""Search under load: four threads ask while one writes, through Kennel and by hand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from benchmarks.bench import in_turns
from benchmarks.by_hand import ByHand
from benchmarks.corpus import Corpus, Query
from benchmarks.figures import Effort, Row, at_least, percentile
from benchmarks.pipelines import HITS, Search
from shared.documents import CollectionRef, DocumentStore, DocumentWrite

_READERS = 4
_BATCH = 100
_BATCHES = 30
_KINDS = ("words", "vector", "hybrid")

Ask = Callable[[Query], object]
Batch = Sequence[DocumentWrite]


@dataclass(frozen=True, slots=True)
class _Side:
    """Each thread opens what it works with."""

    reader: Callable[[str], AbstractContextManager[Ask]]
    writer: Callable[[], AbstractContextManager[Callable[[Batch], object]]]


@dataclass(slots=True)
class _Samples:
    """One figure of each round."""

    queries_per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p95_ms: list[float] = field(default_factory=list)
    documents_per_s: list[float] = field(default_factory=list)


def measure_load(
    store: DocumentStore,
    ref: CollectionRef,
    copy: Path,
    corpus: Corpus,
    queries: Sequence[Query],
    effort: Effort,
) -> list[Row]:
    kennel, hand = _kennel_side(store, ref), _hand_side(copy)
    batches = _batches(corpus, effort.documents)
    rows = []
    for kind in _KINDS:
        samples = {id(kennel): _Samples(), id(hand): _Samples()}
        for side in in_turns(effort.rounds, [kennel, hand]):
            _sample(side, kind, queries, batches, effort.load_s, samples[id(side)])
        ours, theirs = samples[id(kennel)], samples[id(hand)]
        group = f"{kind}: {_READERS} readers, one writer of batches of {_BATCH} / by hand"
        target = at_least(0.77)  # 1 / 1.3
        rows += [
            Row(group, "queries of all readers", "1/s", ours.queries_per_s, theirs.queries_per_s, target),
            Row(group, "p50", "ms", ours.p50_ms, theirs.p50_ms),
            Row(group, "p95", "ms", ours.p95_ms, theirs.p95_ms),
            Row(group, "documents written", "1/s", ours.documents_per_s, theirs.documents_per_s),
        ]
    return rows


def _batches(corpus: Corpus, count: int) -> list[Batch]:
    """Half of each batch replaces documents, half is new."""
    half = _BATCH // 2
    return [
        corpus.documents(number * half, half) + corpus.documents(count + number * half, half)
        for number in range(_BATCHES)
    ]


def _sample(
    side: _Side,
    kind: str,
    queries: Sequence[Query],
    batches: Sequence[Batch],
    load_s: float,
    samples: _Samples,
) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(_READERS + 1) as pool:
        writing = pool.submit(_write, side, batches, stop)
        reading = [pool.submit(_read, side, kind, queries, number, stop) for number in range(_READERS)]
        began_s = time.perf_counter()
        stop.wait(load_s)
        stop.set()
        taken_ms = [each for reader in reading for each in reader.result()]
        written = writing.result()
        elapsed_s = time.perf_counter() - began_s
    samples.queries_per_s.append(len(taken_ms) / elapsed_s)
    samples.p50_ms.append(percentile(taken_ms, 0.50))
    samples.p95_ms.append(percentile(taken_ms, 0.95))
    samples.documents_per_s.append(written / elapsed_s)


def _read(side: _Side, kind: str, queries: Sequence[Query], first: int, stop: threading.Event) -> list[float]:
    """How long each query took, ms."""
    taken_ms = []
    with side.reader(kind) as ask:
        for query in cycle([*queries[first:], *queries[:first]]):
            began_s = time.perf_counter()
            ask(query)
            taken_ms.append((time.perf_counter() - began_s) * 1_000)
            if stop.is_set():
                break
    return taken_ms


def _write(side: _Side, batches: Sequence[Batch], stop: threading.Event) -> int:
    """How many documents were written."""
    written = 0
    with side.writer() as upsert:
        for batch in cycle(batches):
            upsert(batch)
            written += len(batch)
            if stop.is_set():
                break
    return written


def _kennel_side(store: DocumentStore, ref: CollectionRef) -> _Side:
    return _Side(
        lambda kind: contextlib.nullcontext(Search(store, ref, kind).run),
        lambda: contextlib.nullcontext(lambda batch: store.upsert(ref, batch)),
    )


def _hand_side(copy: Path) -> _Side:
    @contextmanager
    def reader(kind: str) -> Iterator[Ask]:
        with contextlib.closing(ByHand(copy)) as hand:
            yield {
                "words": lambda query: hand.text(query.words, HITS),
                "vector": lambda query: hand.vector(query.vector, HITS),
                "hybrid": lambda query: hand.hybrid(query.words, query.vector, HITS),
            }[kind]

    @contextmanager
    def writer() -> Iterator[Callable[[Batch], object]]:
        with contextlib.closing(ByHand(copy)) as hand:
            yield hand.upsert

    return _Side(reader, writer)
