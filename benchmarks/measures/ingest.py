"""Documents through the API into a collection that embeds their text, while somebody searches it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.client import Client
from benchmarks.corpus import Corpus
from benchmarks.figures import Row, percentile
from benchmarks.kennel_side import Kennel
from benchmarks.measures.latency import must_be_done
from benchmarks.processes import Process, wait_for
from benchmarks.servers import START_S
from shared.documents import CollectionRef, DocumentStore, open_document_store

_FEATURE = "mixpeek://text_extractor@v1"
_EXTRACTOR = {"feature_extractor_name": "text_extractor", "version": "v1"}
_INPUT_SCHEMA = {"query": {"type": "string", "required": True}}
_KINDS = ("words", "vector")
_HELD = {"Prefer": "wait=20"}
_LOOK_EVERY_S = 0.02
_EMBEDDED_WITHIN_S = 60.0
_QUARTERS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class _Way:
    batch: int
    clients: int


@dataclass(slots=True)
class _Samples:
    """Figures of each round."""

    durable_per_s: list[float] = field(default_factory=list)
    searchable_per_s: list[float] = field(default_factory=list)
    searches_per_s: list[float] = field(default_factory=list)
    p50_ms: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    # Of the documents stored by then, how many a vector search found (%), at each quarter.
    found_percent: dict[float, list[float]] = field(default_factory=lambda: {each: [] for each in _QUARTERS})


@dataclass(frozen=True, slots=True)
class _Look:
    """The collection at one moment."""

    stored: int
    awaiting: int


class _Collection:
    """A new one with its two retrievers, and what is done with it."""

    def __init__(self, kennel: Kennel, namespace_id: str, name: str) -> None:
        self._kennel = kennel
        self._namespace_id = namespace_id
        self.store: DocumentStore = open_document_store(kennel.settings)
        with contextlib.closing(self._client()) as client:
            body = {"collection_name": name, "feature_extractor": _EXTRACTOR}
            made = client.call("POST", "/v1/collections", body)
            self.ref = CollectionRef(namespace_id, made["collection_id"])
            self._retrievers = {kind: _retriever(client, name, kind) for kind in _KINDS}

    def _client(self) -> Client:
        return self._kennel.client(self._namespace_id)

    def bodies(self, corpus: Corpus, count: int, batch: int) -> list[bytes]:
        """Of upserts of made-up documents, `batch` each."""
        return [
            json.dumps(
                {
                    "collection_id": self.ref.collection_id,
                    "documents": [
                        {"document_id": each.document_id, "payload": each.fields}
                        for each in corpus.documents(first, batch, vectors=False)
                    ],
                }
            ).encode()
            for first in range(0, count, batch)
        ]

    def send(self, bodies: Iterator[bytes], taking: threading.Lock) -> None:
        """One client: it takes the next batch whenever its last one was answered."""
        with contextlib.closing(self._client()) as client:
            while True:
                with taking:
                    body = next(bodies, None)
                if body is None:
                    return
                client.call("POST", f"/v1/namespaces/{self._namespace_id}/documents/upsert", body)

    def search(self, queries: Sequence[str], stop: threading.Event) -> dict[str, list[float]]:
        """By words and by vector in turn until told to stop; how long each took, ms."""
        with contextlib.closing(self._client()) as client:

            def timed(kind: str) -> Timed:
                return Timed(lambda: self._execute(client, kind, next(words)))

            words = cycle(queries)
            kinds = {kind: timed(kind) for kind in _KINDS}
            while not stop.is_set():
                for each in kinds.values():
                    each.take()
            return {kind: each.taken_ms for kind, each in kinds.items()}

    def _execute(self, client: Client, kind: str, query: str) -> None:
        body = {"inputs": {"query": query}}
        must_be_done(client.call("POST", f"/v1/retrievers/{self._retrievers[kind]}/execute", body, **_HELD))

    def look(self) -> _Look:
        """At the file itself, which costs the servers nothing."""
        awaiting = self.store.backlog(self.ref).count
        return _Look(self.store.count(self.ref), awaiting)

    def watch(self, stop: threading.Event) -> list[_Look]:
        looks = [self.look()]
        while not stop.wait(_LOOK_EVERY_S):
            looks.append(self.look())
        return [*looks, self.look()]


def measure(bench: Bench) -> list[Row]:
    kennel, count = bench.kennel, bench.effort.ingested
    ways = [_Way(batch, clients) for batch in (100, 1_000) for clients in (1, 4)]
    samples = {way: _Samples() for way in ways}
    with kennel.worker() as worker, contextlib.closing(kennel.client()) as client:
        wait_for(lambda: client.call("GET", "/v1/health")["workers_online"], worker, START_S, "a worker")
        made = client.call("POST", "/v1/namespaces", {"namespace_name": "bench-ingest"})
        corpus = Corpus()
        for number, way in enumerate(in_turns(bench.effort.rounds, ways)):
            collection = _Collection(kennel, made["namespace_id"], f"ingest-{number}")
            _sample(collection, corpus, way, count, worker, samples[way])
    return [row for way in ways for row in _rows(way, count, samples[way])]


def _sample(
    collection: _Collection, corpus: Corpus, way: _Way, count: int, worker: Process, samples: _Samples
) -> None:
    bodies, taking = iter(collection.bodies(corpus, count, way.batch)), threading.Lock()
    queries = [query.words for query in corpus.queries(50)]
    answered, stop = threading.Event(), threading.Event()
    with ThreadPoolExecutor(way.clients + 2) as pool:
        searching = pool.submit(collection.search, queries, stop)
        watching = pool.submit(collection.watch, answered)
        began_s = time.perf_counter()
        try:
            for sending in [pool.submit(collection.send, bodies, taking) for _ in range(way.clients)]:
                sending.result()
            answered.set()
            durable_s = time.perf_counter() - began_s
            wait_for(lambda: not collection.look().awaiting, worker, _EMBEDDED_WITHIN_S, "all embedded")
            searchable_s = time.perf_counter() - began_s
        finally:
            answered.set()
            stop.set()
        taken_ms, looks = searching.result(), watching.result()
    samples.durable_per_s.append(count / durable_s)
    samples.searchable_per_s.append(count / searchable_s)
    samples.searches_per_s.append(sum(map(len, taken_ms.values())) / searchable_s)
    for kind in _KINDS:
        samples.p50_ms[kind].append(percentile(taken_ms[kind], 0.50))
    for quarter in _QUARTERS:
        look = next(each for each in looks if each.stored >= quarter * count)
        samples.found_percent[quarter].append((look.stored - look.awaiting) / look.stored * 100)


def _rows(way: _Way, count: int, samples: _Samples) -> list[Row]:
    clients = "one client" if way.clients == 1 else f"{way.clients} clients"
    group = f"{count:,} documents through the API, batches of {way.batch:,}, {clients}, one more searching"
    return [
        Row(group, "answered: durable, found by words", "1/s", samples.durable_per_s),
        Row(group, "found by vector", "1/s", samples.searchable_per_s),
        Row(group, "searches answered meanwhile", "1/s", samples.searches_per_s),
        *(Row(group, f"p50 of a search by {kind}", "ms", samples.p50_ms[kind]) for kind in _KINDS),
        *(
            Row(group, f"found by vector, of the first {quarter:.0%}", "%", samples.found_percent[quarter])
            for quarter in _QUARTERS
        ),
    ]


def _retriever(client: Client, collection: str, kind: str) -> str:
    """Its id."""
    query = {"input_mode": "text", "value": "{{INPUT.query}}"}
    search = {"feature_uri": _FEATURE, "query": query, "lexical": kind == "words"}
    parameters: dict[str, Any] = {"searches": [search], "final_top_k": 10}
    body = {
        "retriever_name": f"{collection}-{kind}",
        "collection_identifiers": [collection],
        "input_schema": _INPUT_SCHEMA,
        "stages": [
            {"stage_name": "search", "config": {"stage_id": "feature_search", "parameters": parameters}}
        ],
    }
    retriever_id: str = client.call("POST", "/v1/retrievers", body)["retriever_id"]
    return retriever_id
