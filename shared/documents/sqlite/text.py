"""Text search: BM25 of FTS5, which numbers better hits lower; Kennel turns the sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from shared.documents.store import MAX_QUERY_TERMS
from shared.filters.ast import And, Filter
from shared.filters.sql import Parameters, compile_where
from shared.filters.words import stems, words

Rows: TypeAlias = list[tuple[Any, ...]]
Run: TypeAlias = Callable[[str, Sequence[Any]], Rows]


def match_expression(query: str) -> str | None:
    """Any of the words of the query, each quoted, equal stems once; None when it has no word."""
    word_by_stem = dict(zip(reversed(stems(query)), reversed(words(query)), strict=True))
    chosen = list(word_by_stem.values())[::-1][:MAX_QUERY_TERMS]
    return " OR ".join(f'"{word}"' for word in chosen) or None


def search(run: Run, match: str, where: Filter | None, keep: Filter | None, limit: int) -> Rows:
    """(document_id, JSON, score) of the best `limit` hits, best first, ties by document_id.

    The JSON is None for hits that do not pass `keep`.
    """
    if where is not None:
        return run(*_exact(match, where, keep, limit))
    rows = run(*_by_rank(match, keep, limit + 1))
    if len(rows) > limit and rows[limit - 1][2] == rows[limit][2]:
        # Equal scores at the cut: only a sort of all hits by id tells which of them belong to the best.
        return run(*_exact(match, And(()), keep, limit))
    return rows[:limit]


def _by_rank(match: str, keep: Filter | None, limit: int) -> tuple[str, Sequence[Any]]:
    """Reads the documents of the hits alone; which ones of equal score come last is left open."""
    parameters = Parameters()
    hits = (
        "SELECT rowid AS document_key, rank AS hit_rank FROM document_text"
        f" WHERE document_text MATCH {parameters.bind(match)} ORDER BY rank LIMIT {parameters.bind(limit)}"
    )
    return _with_documents(hits, keep, parameters)


def _exact(match: str, where: Filter, keep: Filter | None, limit: int) -> tuple[str, Sequence[Any]]:
    parameters = Parameters()
    hits = (
        "SELECT document_key, rank AS hit_rank"
        " FROM document_text CROSS JOIN documents ON document_key = document_text.rowid"
        f" WHERE document_text MATCH {parameters.bind(match)} AND {compile_where(where, parameters)}"
        f" ORDER BY rank, document_id LIMIT {parameters.bind(limit)}"
    )
    return _with_documents(hits, keep, parameters)


def _with_documents(hits: str, keep: Filter | None, parameters: Parameters) -> tuple[str, Sequence[Any]]:
    kept = compile_where(keep or And(()), parameters)
    sql = (
        f"SELECT document_id, CASE WHEN {kept} THEN CAST(json(payload) AS BLOB) END, -hit_rank"
        f" FROM ({hits}) CROSS JOIN documents USING (document_key) ORDER BY hit_rank, document_id"
    )
    return sql, parameters.values
