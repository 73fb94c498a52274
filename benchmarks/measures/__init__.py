"""The measurements, one family a file: each has `measure(bench)`, which returns rows of the table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.figures import Row
from benchmarks.measures import backlog, busyness, documents, history, http, ingest, latency, memory, search

# By name, in the order of the table; memory comes behind all that work for it.
MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "http": http.measure,
    "backlog": backlog.measure,
    "latency": latency.measure,
    "busyness": busyness.measure,
    "documents": documents.measure,
    "memory": memory.measure,
    "search": search.measure,
    "ingest": ingest.measure,
    "history": history.measure,
}
# Minutes each, so only by their names (`make bench-search`, `make bench-history` …).
ON_REQUEST = frozenset({"search", "ingest", "history"})
