"""Vector search: score every vector in memory, then let SQL say which of the best still exist and pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from shared.documents.sqlite.matrices import Matrices, Scored
from shared.documents.sqlite.metrics import rounded
from shared.documents.sqlite.rows import fetch
from shared.documents.sqlite.vectors import IndexRow, find_index
from shared.documents.store import Metric
from shared.documents.stored import MAX_VECTORS_PER_NAME
from shared.errors import InvalidInput
from shared.filters.ast import And, Filter
from shared.filters.sql import Parameters, compile_where

# How many candidates are looked at for each hit wanted. Where a filter drops most of them, it is asked of
# every document instead: cheaper than trying candidates one by one.
_CANDIDATES_PER_HIT = 4
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_ALIKE = 2e-6  # scores this close may be the same once rounded

Positions = NDArray[np.intp]  # of vectors in a Scored


@dataclass(frozen=True, slots=True)
class Nearest:
    document_id: str
    document_key: int
    score: float


def nearest(
    connection: apsw.Connection,
    matrices: Matrices,
    name: str,
    queries: Sequence[Sequence[float]],
    where: Filter | None,
    limit: int,
) -> list[Nearest]:
    """The best `limit` documents, best first, ties by document_id. Call it inside a read transaction.

    Raises:
        InvalidInput: no such index, too many queries, or one of another length or with a
            number that is not finite in float32.
    """
    index = _index_for(connection, name, queries)
    [[file_id]] = fetch(connection, "SELECT file_id FROM collection")
    scored = matrices.scores(connection, file_id, index, queries)
    passing: Positions | None = None
    wanted = limit * _CANDIDATES_PER_HIT if where else limit
    while True:
        candidates = _best(scored, passing, wanted)
        asked = where if passing is None else None
        hits = _existing(connection, index.metric, scored, candidates, asked, limit)
        if len(hits) >= limit or len(candidates) < wanted:
            return hits
        if where is not None and passing is None:
            passing, wanted = _passing(connection, scored, where), limit
        else:
            wanted *= _CANDIDATES_PER_HIT


def rows_statement(document_keys: Sequence[int], keep: Filter | None) -> tuple[str, Sequence[Any]]:
    """SQL and its values for (key, document_id, JSON) in the order of the keys.

    The JSON is null where `keep` fails.
    """
    parameters = Parameters()
    kept = compile_where(keep or And(()), parameters)
    sql = (
        f"SELECT document_key, document_id, CASE WHEN {kept} THEN CAST(json(payload) AS BLOB) END"
        f" FROM json_each({parameters.bind_json(list(document_keys))})"
        " CROSS JOIN documents ON document_key = value"
    )
    return sql, parameters.values


def _index_for(connection: apsw.Connection, name: str, queries: Sequence[Sequence[float]]) -> IndexRow:
    index = find_index(connection, name)
    if index is None:
        raise InvalidInput(f"the collection has no vectors named {name!r}")
    if len(queries) > MAX_VECTORS_PER_NAME:
        raise InvalidInput(f"the query has {len(queries)} vectors; send at most {MAX_VECTORS_PER_NAME}")
    for query in queries:
        if len(query) != index.dimensions:
            raise InvalidInput(
                f"the query has {len(query)} dimensions, the vectors {name!r} have {index.dimensions}"
            )
        if not all(abs(number) <= _FLOAT32_MAX for number in query):  # never true of NaN
            raise InvalidInput("each element of the query must be a finite number that fits float32")
    return index


def _best(scored: Scored, passing: Positions | None, wanted: int) -> Positions:
    """Positions of the best `wanted` vectors, best first, with all that tie with the last once rounded."""
    scores = scored.scores if passing is None else scored.scores[passing]
    best = np.arange(len(scores))
    if wanted < len(scores):
        least = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
        best = np.flatnonzero(scores >= least - _ALIKE)
    best = best[np.argsort(-scores[best], kind="stable")]
    return best if passing is None else passing[best]


def _existing(
    connection: apsw.Connection,
    metric: Metric,
    scored: Scored,
    candidates: Positions,
    where: Filter | None,
    limit: int,
) -> list[Nearest]:
    """The documents of those vectors that exist and pass, each once, with its best score."""
    scores = dict(
        zip(scored.vector_ids[candidates].tolist(), scored.scores[candidates].tolist(), strict=True)
    )
    parameters = Parameters()
    sql = (
        "SELECT vector_id, document_key, document_id"
        f" FROM json_each({parameters.bind_json(list(scores))}) AS candidate"
        " CROSS JOIN vectors ON vector_id = candidate.value CROSS JOIN documents USING (document_key)"
    )
    if where is not None:
        sql += f" WHERE {compile_where(where, parameters)}"
    hits: dict[int, Nearest] = {}
    for vector_id, key, document_id in fetch(connection, sql, parameters.values):
        hits.setdefault(key, Nearest(document_id, key, rounded(metric, scores[vector_id])))
    return sorted(hits.values(), key=lambda hit: (-hit.score, hit.document_id))[:limit]


def _passing(connection: apsw.Connection, scored: Scored, where: Filter) -> Positions:
    """Positions of the vectors whose documents pass."""
    parameters = Parameters()
    sql = f"SELECT document_key FROM documents WHERE {compile_where(where, parameters)}"
    keys = [key for (key,) in fetch(connection, sql, parameters.values)]
    passes = np.zeros(1 + int(scored.document_keys.max(initial=0)), np.bool_)
    passes[[key for key in keys if key < len(passes)]] = True
    return np.flatnonzero(passes[scored.document_keys])
