"""The tables of a collection file.

The JSON is kept once, as JSONB. A text copy beside it saves 2 µs per returned document, but doubles the file
and the time to write, and slows filters down (measured with 50,000 documents of 1 kB).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import apsw
import orjson

from shared.documents.sqlite.rows import fetch
from shared.documents.store import CollectionShape, TextEmbedding, VectorConfig, VectorIndex
from shared.errors import KennelError
from shared.filters.words import STEM_TOKENIZER

SCHEMA_VERSION = 4

# What the version before did not have.
_ALERT_OUTBOX = """
CREATE TABLE alert_outbox (            -- documents that no alert has been asked about yet
    document_id TEXT PRIMARY KEY,
    write_seq   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX alert_outbox_by_write ON alert_outbox (write_seq);
"""

# Contentless: the index alone, its text is in the documents already.
_TABLES = f"""
CREATE TABLE collection (              -- one row
    file_id   TEXT NOT NULL,           -- names this file among all that ever had its path
    embedding TEXT NOT NULL,           -- JSON of the TextEmbedding, or null
    write_seq INTEGER NOT NULL,        -- number of the last write
    is_closed INTEGER NOT NULL         -- 1: vectors have the names declared when it was made, and no others
);
CREATE TABLE documents (
    document_key  INTEGER PRIMARY KEY,
    document_id   TEXT UNIQUE NOT NULL,
    list_bits     INTEGER NOT NULL,    -- shared/filters/list_bits.py
    searchable_at TEXT,                -- ISO 8601; null while it is in the outbox
    text_digest   BLOB,                -- of the text that Kennel embeds; null when there is none
    payload       BLOB NOT NULL        -- JSONB of the document as the API returns it
);
CREATE TABLE vector_indexes (
    index_key  INTEGER PRIMARY KEY,
    name       TEXT UNIQUE NOT NULL,
    dimensions INTEGER NOT NULL,
    several    INTEGER,                -- null until the first vector of a declared name
    metric     TEXT NOT NULL DEFAULT 'cosine'
);
CREATE TABLE vectors (
    vector_id    INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: what is new has a higher one
    document_key INTEGER NOT NULL,
    index_key    INTEGER NOT NULL,
    vector       BLOB NOT NULL         -- little-endian float32
);
CREATE INDEX vectors_by_document ON vectors (document_key, index_key);
CREATE INDEX vectors_by_index ON vectors (index_key);
CREATE TABLE outbox (                  -- documents whose text waits for an embedding
    document_key  INTEGER PRIMARY KEY,
    write_seq     INTEGER NOT NULL,
    written_at_ms INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    due_at_ms     INTEGER NOT NULL
);
CREATE INDEX outbox_by_write ON outbox (write_seq);
{_ALERT_OUTBOX}CREATE VIRTUAL TABLE document_text USING fts5(
    body, content='', contentless_delete=1, tokenize="{" ".join(STEM_TOKENIZER)}"
);
PRAGMA user_version = {SCHEMA_VERSION};
"""


def create_tables(
    connection: apsw.Connection, embedding: TextEmbedding | None, declared: Sequence[VectorConfig] | None
) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute(_TABLES)
        row = (secrets.token_hex(8), orjson.dumps(embedding).decode(), declared is not None)
        connection.execute("INSERT INTO collection VALUES (?, ?, 0, ?)", row)
        connection.executemany(
            "INSERT INTO vector_indexes (name, dimensions, metric) VALUES (?, ?, ?)",
            [(config.name, config.dimensions, config.metric) for config in declared or ()],
        )
        if embedding is not None:
            index = (embedding.model, embedding.dimensions, False)
            connection.execute(
                "INSERT INTO vector_indexes (name, dimensions, several) VALUES (?, ?, ?)", index
            )


def read_shape(connection: apsw.Connection) -> CollectionShape:
    indexes = fetch(
        connection, "SELECT name, dimensions, several, metric FROM vector_indexes ORDER BY index_key"
    )
    return CollectionShape(
        read_embedding(connection),
        tuple(
            VectorIndex(name, dimensions, bool(several), metric)
            for name, dimensions, several, metric in indexes
        ),
    )


def read_embedding(connection: apsw.Connection) -> TextEmbedding | None:
    [[stored]] = fetch(connection, "SELECT embedding FROM collection")
    body = orjson.loads(stored)
    return body and TextEmbedding(body["model"], body["dimensions"], tuple(body["fields"]))


def upgrade(connection: apsw.Connection) -> None:
    """Bring a file of the version before to this one; of several that try, one does it."""
    if connection.pragma("user_version") != SCHEMA_VERSION - 1:
        return
    with connection:
        connection.execute(
            "UPDATE collection SET write_seq = write_seq"
        )  # takes the lock before it looks again
        if connection.pragma("user_version") == SCHEMA_VERSION - 1:
            connection.execute(f"{_ALERT_OUTBOX} PRAGMA user_version = {SCHEMA_VERSION}")


def check_version(connection: apsw.Connection, path: str) -> None:
    """Raises KennelError when another version of Kennel wrote the file."""
    version = connection.pragma("user_version")
    if version != SCHEMA_VERSION:
        raise KennelError(
            f"{path} has schema version {version}, this Kennel reads {SCHEMA_VERSION}; "
            "start the version of Kennel that wrote it, or load the documents anew",
            code="schema_version",
        )
