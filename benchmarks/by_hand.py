"""The engine without Kennel: what a person would write for SQLite, FTS5 and sqlite-vec, on the same rows."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import orjson
import sqlite_vec

from benchmarks.corpus import DIMENSIONS, VECTOR_NAME
from shared.documents import DocumentWrite
from workers.search.fusion import RRF_K

Hit = tuple[str, bytes, float]  # document id, its JSON, score
# The same as Kennel's own connections, so that only the statements differ.
_PRAGMAS = "PRAGMA synchronous = FULL; PRAGMA cache_size = -4096; PRAGMA mmap_size = 268435456"
_BUSY_MS = 5_000
_FUSED = 100  # of each search

_JSON = "CAST(json(payload) AS BLOB)"
_NEAREST = f"""
CREATE VIRTUAL TABLE nearest USING vec0(vector float[{DIMENSIONS}] distance_metric=cosine);
INSERT INTO nearest (rowid, vector) SELECT document_key, vector FROM vectors;
"""
_TEXT = (
    "SELECT {} FROM document_text JOIN documents ON document_key = document_text.rowid"
    " WHERE document_text MATCH ? ORDER BY rank LIMIT ?"
)
_VECTOR = (
    "SELECT {} FROM (SELECT rowid AS document_key, distance FROM nearest"
    " WHERE vector MATCH ? AND k = ? {}) JOIN documents USING (document_key) ORDER BY distance"
)
_SCAN = (
    "SELECT {} FROM (SELECT document_key, vec_distance_cosine(vector, ?) AS distance FROM vectors {}"
    " ORDER BY distance LIMIT ?) JOIN documents USING (document_key) ORDER BY distance"
)
_GET = f"SELECT document_id, {_JSON} FROM documents WHERE document_id IN (SELECT value FROM json_each(?))"
_WRITE = (
    "INSERT INTO documents (document_id, list_bits, payload) VALUES (?, 0, jsonb(?))"
    " ON CONFLICT (document_id) DO UPDATE SET payload = excluded.payload RETURNING document_key"
)


def copy_collection(source: Path, target: Path) -> None:
    """Copy a collection's file, which nobody may be writing, and put its vectors into a vec0 table, too."""
    connection = apsw.Connection(str(source))
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    copy = ByHand(target)
    copy.execute("PRAGMA journal_mode = WAL")
    copy.execute(f"BEGIN; {_NEAREST} COMMIT")
    copy.close()


class ByHand:
    """One connection: for one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        self._connection.set_busy_timeout(_BUSY_MS)
        self._connection.enable_load_extension(True)
        self._connection.load_extension(sqlite_vec.loadable_path())
        self._connection.execute(_PRAGMAS).fetchall()

    def close(self) -> None:
        self._connection.close()

    def execute(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def text(self, words: str, limit: int) -> list[Hit]:
        return self.execute(_TEXT.format(f"document_id, {_JSON}, -rank"), (_any_of(words), limit))

    def vector(self, vector: Sequence[float], limit: int, share: int | None = None) -> list[Hit]:
        """The nearest in sqlite-vec's own table; with `share`, of the documents below it."""
        sql = _VECTOR.format(f"document_id, {_JSON}, 1 - distance", _only(share, "rowid"))
        return self.execute(sql, (_packed(vector), limit))

    def scan(self, vector: Sequence[float], limit: int, share: int | None = None) -> list[Hit]:
        """The nearest by sqlite-vec's function over Kennel's rows."""
        condition = _only(share, "document_key").replace("AND", "WHERE", 1)
        sql = _SCAN.format(f"document_id, {_JSON}, 1 - distance", condition)
        return self.execute(sql, (_packed(vector), limit))

    def hybrid(self, words: str, vector: Sequence[float], limit: int) -> list[Hit]:
        """Reciprocal rank fusion of both; only what is left of it is read."""
        scores: dict[str, float] = {}
        by_words = self.execute(_TEXT.format("document_id"), (_any_of(words), _FUSED))
        by_vector = self.execute(_VECTOR.format("document_id", ""), (_packed(vector), _FUSED))
        for ranking in (by_words, by_vector):
            for rank, (document_id,) in enumerate(ranking, start=1):
                scores[document_id] = scores.get(document_id, 0.0) + 1 / (RRF_K + rank)
        best = sorted(scores, key=lambda each: (-scores[each], each))[:limit]
        raw = dict(self.execute(_GET, (orjson.dumps(best).decode(),)))
        return [(each, raw[each], scores[each]) for each in best]

    def upsert(self, documents: Sequence[DocumentWrite]) -> None:
        with self._connection:
            for document in documents:
                self._write(document)

    def _write(self, document: DocumentWrite) -> None:
        body = orjson.dumps({"document_id": document.document_id, **document.fields}).decode()
        text = f"{document.fields['title']}\n{document.fields['text']}"
        [[key]] = self.execute(_WRITE, (document.document_id, body))
        self.execute("DELETE FROM document_text WHERE rowid = ?", (key,))
        self.execute("INSERT INTO document_text (rowid, body) VALUES (?, ?)", (key, text))
        self.execute("DELETE FROM nearest WHERE rowid = ?", (key,))
        vector: Any = (document.vectors or {})[VECTOR_NAME]
        self.execute("INSERT INTO nearest (rowid, vector) VALUES (?, ?)", (key, _packed(vector)))


def _any_of(words: str) -> str:
    return " OR ".join(f'"{word}"' for word in words.split())


def _packed(vector: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def _only(share: int | None, column: str) -> str:
    if share is None:
        return ""
    return f"AND {column} IN (SELECT document_key FROM documents WHERE payload ->> '$.share' < {int(share)})"
