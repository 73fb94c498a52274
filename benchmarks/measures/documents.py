"""Filters, lists and gets over many documents: a stage beside the same question written by hand in SQL.

Both run in this process on files that are in memory by then, so CPU time is what they take; unlike wall time
it does not count what other programs do meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import orjson

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.figures import BenchError, Row, at_most
from benchmarks.pipelines import NoEmbeddings
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.store import CollectionRef, DocumentWrite
from workers.context import StageContext
from workers.documents.selection import SELECTION_MAX, Selection
from workers.stages.attribute_filter import AttributeFilter, AttributeFilterParameters
from workers.stages.base import Stage
from workers.stages.feature_search import FeatureSearch, FeatureSearchParameters
from workers.stages.sort_attribute import SortAttribute, SortAttributeParameters

Found = list[tuple[str, bytes]]  # (document id, its JSON)
_BATCH = 1_000
_REF = CollectionRef("ns_bench", "col_bench")
_SEED = 7
_TOPICS = tuple(f"topic{number}" for number in range(20))
_WORDS = tuple(f"word{number}" for number in range(2_000))
_COUNTRIES = ("ch", "de", "fr", "it", "jp")
# The same as Kennel's own connections, so that only the statements differ.
_PRAGMAS = "PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456"

_COLUMNS = "document_id, CAST(json(payload) AS BLOB)"


@dataclass(frozen=True, slots=True)
class _Query:
    """One question, asked twice: what a pipeline does, and what a person would write."""

    name: str
    kennel: Callable[[], Found]
    sql: str
    values: Sequence[Any]


def measure(bench: Bench) -> list[Row]:
    directory = bench.directory / "documents"
    store = SqliteDocumentStore(directory)
    _fill(store, bench.effort.documents)
    connection = _connect(directory)
    group = f"{bench.effort.documents:,} documents: a stage / the same SQL by hand (CPU)"
    try:
        return [_compare(group, query, connection, bench.effort.repetitions) for query in _queries(store)]
    finally:
        connection.close()


def _compare(group: str, query: _Query, connection: apsw.Connection, repetitions: int) -> Row:
    """Raises BenchError when the two do not find the same."""

    def by_hand() -> list[tuple[Any, ...]]:
        return connection.execute(query.sql, query.values).fetchall()

    expected, found = by_hand(), query.kennel()
    if found != expected or not found:
        raise BenchError(
            f"{query.name}: the stage found {len(found)} documents, SQL {len(expected)}, not the same"
        )
    kennel, baseline = Timed(query.kennel, time.process_time), Timed(by_hand, time.process_time)
    for timed in in_turns(repetitions, [kennel, baseline]):
        timed.take()
    return Row(group, f"{query.name} ({len(found)})", "ms", kennel.taken_ms, baseline.taken_ms, at_most(1.3))


def _fill(store: SqliteDocumentStore, count: int) -> None:
    store.create_collection(_REF)
    chance = random.Random(_SEED)
    for start in range(0, count, _BATCH):
        store.upsert(_REF, [_document(number, chance) for number in range(start, min(start + _BATCH, count))])


def _document(number: int, chance: random.Random) -> DocumentWrite:
    """About 1 kB, with nested fields and a list."""
    return DocumentWrite(
        f"doc_{number:06}",
        {
            "title": f"Document {number}",
            "topic": chance.choice(_TOPICS),
            "year": chance.randrange(1970, 2030),
            "price": round(chance.uniform(1, 1_000), 2),
            "tags": chance.sample(_TOPICS, 3),
            "author": {"name": chance.choice(_WORDS), "country": chance.choice(_COUNTRIES)},
            "text": " ".join(chance.choices(_WORDS, k=80)),
        },
    )


def _connect(directory: Path) -> apsw.Connection:
    path = directory / _REF.namespace_id / f"{_REF.collection_id}.db"
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.execute(_PRAGMAS).fetchall()
    return connection


def _queries(store: SqliteDocumentStore) -> list[_Query]:
    def asking(*stages: Stage[Any]) -> Callable[[], Found]:
        return lambda: _ask(store, stages)

    page = f"FROM documents WHERE {{}} ORDER BY document_id LIMIT {SELECTION_MAX}"
    plain = f"SELECT {_COLUMNS} {page}"
    some_ids = [f"doc_{number:06}" for number in range(0, 5_000, 50)]
    return [
        _Query(
            "equal", asking(_filter(topic="topic3")), plain.format("payload ->> '$.topic' = ?"), ["topic3"]
        ),
        _Query(
            "range",
            asking(_where("price", "gte", 900), _where("price", "lt", 905)),
            plain.format("payload ->> '$.price' >= ? AND payload ->> '$.price' < ?"),
            [900, 905],
        ),
        _Query(
            "tree of AND and OR",
            asking(
                _filter(
                    AND=[
                        {"OR": [{"topic": "topic1"}, {"topic": "topic2"}]},
                        _less("year", 1980),
                        _less("price", 200),
                    ]
                )
            ),
            plain.format(
                "(payload ->> '$.topic' = ? OR payload ->> '$.topic' = ?)"
                " AND payload ->> '$.year' < ? AND payload ->> '$.price' < ?"
            ),
            ["topic1", "topic2", 1980, 200],
        ),
        _Query(
            "nested field",
            asking(_filter(**{"author.country": "jp"}), _where("price", "gt", 990)),
            plain.format("payload ->> '$.author.country' = ? AND payload ->> '$.price' > ?"),
            ["jp", 990],
        ),
        _Query(
            "element of a list",
            asking(_where("tags", "contains", "topic5")),
            plain.format("EXISTS (SELECT 1 FROM json_each(payload, '$.tags') WHERE value = ?)"),
            ["topic5"],
        ),
        _Query(
            "filter, sorted",
            asking(_filter(topic="topic3"), _sort("price")),
            f"SELECT {_COLUMNS} FROM (SELECT document_key FROM documents WHERE payload ->> '$.topic' = ?"
            f" ORDER BY payload ->> '$.price' DESC, document_id LIMIT {SELECTION_MAX})"
            " CROSS JOIN documents USING (document_key)",
            ["topic3"],
        ),
        _Query("first documents", asking(), plain.format("1"), []),
        _Query(
            "text search",
            asking(_search("word7 word8")),
            _text_search("1"),
            ['"word7" OR "word8"'],
        ),
        _Query(
            "text search of a filter",
            asking(_filter(topic="topic3"), _search("word7 word8")),
            _text_search("payload ->> '$.topic' = ?"),
            ['"word7" OR "word8"', "topic3"],
        ),
        _Query(
            "get by ids",
            lambda: [(document.document_id, document.raw or b"") for document in store.get(_REF, some_ids)],
            f"SELECT {_COLUMNS} FROM documents"
            " WHERE document_id IN (SELECT value FROM json_each(?)) ORDER BY document_id",
            [orjson.dumps(some_ids).decode()],
        ),
    ]


def _text_search(condition: str) -> str:
    return (
        f"SELECT {_COLUMNS} FROM (SELECT document_key, rank AS hit_rank"
        " FROM document_text CROSS JOIN documents ON document_key = document_text.rowid"
        f" WHERE document_text MATCH ? AND {condition} ORDER BY rank, document_id LIMIT 100)"
        " CROSS JOIN documents USING (document_key) ORDER BY hit_rank, document_id"
    )


def _ask(store: SqliteDocumentStore, stages: Sequence[Stage[Any]]) -> Found:
    """As the pipeline does it: each stage refines the question, then the engine answers it."""
    selection = Selection([_REF])
    for stage in stages:
        refined = stage.refine(selection, _context(store))
        if refined is None:
            raise BenchError(f"{stage.stage_id} no longer refines a selection")
        selection = refined
    return [(document.document_id, document.raw or b"") for document in selection.fetch(store).documents]


def _context(store: SqliteDocumentStore) -> StageContext:
    return StageContext(
        execution_id="exec_bench",
        attempt=1,
        stage_index=0,
        stage_name="bench",
        namespace_id=_REF.namespace_id,
        inputs={},
        collections=[_REF],
        documents=store,
        embeddings=NoEmbeddings(),
        resolve_collections=lambda identifiers: identifiers,
        warn=lambda warning: None,
        check=lambda: None,
    )


def _filter(**conditions: Any) -> Stage[Any]:
    return AttributeFilter(AttributeFilterParameters(conditions=conditions))


def _where(field: str, operator: str, value: Any) -> Stage[Any]:
    return _filter(field=field, operator=operator, value=value)


def _less(field: str, value: float) -> dict[str, Any]:
    return {"field": field, "operator": "lt", "value": value}


def _sort(field: str) -> Stage[Any]:
    return SortAttribute(SortAttributeParameters(field=field, direction="desc"))


def _search(text: str) -> Stage[Any]:
    search = {"feature_uri": "bm25", "query": {"value": text}, "lexical": True}
    return FeatureSearch(FeatureSearchParameters.model_validate({"searches": [search], "final_top_k": 100}))
