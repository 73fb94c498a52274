"""The outbox: documents whose text waits for its embedding.

A row enters in the transaction that writes the text and leaves in the one that writes the vector. It carries
the number of its write, so an embedding made of an older text finds another number and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import orjson

from shared import clock
from shared.documents.sqlite.rows import fetch
from shared.documents.sqlite.schema import read_embedding
from shared.documents.sqlite.vectors import VectorWriter
from shared.documents.store import Backlog, PendingText
from shared.documents.stored import embedding_text

_ADD = (
    "INSERT OR REPLACE INTO outbox (document_key, write_seq, written_at_ms, failures, due_at_ms)"
    " SELECT value, ?2, ?3, 0, 0 FROM json_each(?1)"
)
_DUE = (
    "SELECT document_key, write_seq, failures, json(payload) FROM outbox JOIN documents USING (document_key)"
    " WHERE due_at_ms <= ?1 ORDER BY write_seq, document_key LIMIT ?2"
)
_BACKLOG = (
    "SELECT count(*), min(write_seq), min(written_at_ms), max(write_seq), coalesce(sum(failures > 0), 0)"
    " FROM outbox"
)
_DUE_MAX_CHARS = 16_000_000  # of the documents whose texts are read at a time
_TAKE_OFF = "DELETE FROM outbox WHERE document_key = ? AND write_seq = ? RETURNING document_key"
_FOUND_SINCE = (
    "UPDATE documents SET searchable_at = ?2 WHERE document_key IN (SELECT value FROM json_each(?1))"
)
_POSTPONE = (
    "UPDATE outbox SET failures = failures + 1, due_at_ms = ?3 WHERE document_key = ?1 AND write_seq = ?2"
)


def add(connection: apsw.Connection, document_keys: Iterable[int], write_seq: int, at_ms: int) -> None:
    keys = orjson.dumps(sorted(document_keys)).decode()
    connection.execute(_ADD, (keys, write_seq, at_ms))


def remove(connection: apsw.Connection, document_key: int) -> None:
    connection.execute("DELETE FROM outbox WHERE document_key = ?", (document_key,))


def backlog(connection: apsw.Connection) -> Backlog:
    return Backlog(*fetch(connection, _BACKLOG)[0])


def due(connection: apsw.Connection, limit: int, now_ms: int) -> list[PendingText]:
    """The oldest ones; fewer than `limit` where their documents are large."""
    embedding = read_embedding(connection)
    fields = embedding.fields if embedding else ()
    texts: list[PendingText] = []
    size_chars = 0
    for key, write_seq, failures, raw in connection.execute(_DUE, (now_ms, limit)):
        texts.append(PendingText(key, write_seq, failures, embedding_text(orjson.loads(raw), fields)))
        size_chars += len(raw)
        if size_chars > _DUE_MAX_CHARS:
            break
    return texts


def store(connection: apsw.Connection, embedded: Sequence[tuple[PendingText, Sequence[float]]]) -> int:
    embedding = read_embedding(connection)
    if embedding is None:
        return 0
    vectors = VectorWriter(connection, None)
    stored = []
    for text, numbers in embedded:
        if fetch(connection, _TAKE_OFF, (text.document_key, text.write_seq)):
            vectors.add(text.document_key, embedding.model, numbers)
            stored.append(text.document_key)
    connection.execute(_FOUND_SINCE, (orjson.dumps(stored).decode(), clock.utc_now_iso()))
    return len(stored)


def postpone(connection: apsw.Connection, failed: Sequence[PendingText], until_ms: int) -> None:
    rows = [(text.document_key, text.write_seq, until_ms) for text in failed]
    connection.executemany(_POSTPONE, rows)
