"""Text search: BM25 of FTS5, which numbers better hits lower; Kennel turns the sign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.documents.store import MAX_QUERY_TERMS
from shared.filters.ast import And, Filter
from shared.filters.sql import Parameters, compile_where
from shared.filters.words import stems, words


def match_expression(query: str) -> str | None:
    """Any of the words of the query, each quoted, equal stems once; None when it has no word."""
    word_by_stem = dict(zip(reversed(stems(query)), reversed(words(query)), strict=True))
    chosen = list(word_by_stem.values())[::-1][:MAX_QUERY_TERMS]
    return " OR ".join(f'"{word}"' for word in chosen) or None


def search_statement(
    match: str, where: Filter | None, keep: Filter | None, limit: int
) -> tuple[str, Sequence[Any]]:
    """SQL and its values for (document_id, JSON, score) of the best `limit` hits.

    Best first, ties by document_id. The JSON is null for hits that do not pass `keep`.
    """
    parameters = Parameters()
    hits = (
        "SELECT document_key, rank AS hit_rank"
        " FROM document_text CROSS JOIN documents ON document_key = document_text.rowid"
        f" WHERE document_text MATCH {parameters.bind(match)}"
        f" AND {compile_where(where or And(()), parameters)}"
        f" ORDER BY rank, document_id LIMIT {parameters.bind(limit)}"
    )
    kept = compile_where(keep or And(()), parameters)
    sql = (
        f"SELECT document_id, CASE WHEN {kept} THEN CAST(json(payload) AS BLOB) END, -hit_rank"
        f" FROM ({hits}) CROSS JOIN documents USING (document_key) ORDER BY hit_rank, document_id"
    )
    return sql, parameters.values
