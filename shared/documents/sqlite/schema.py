"""The tables of a collection file.

The JSON is kept once, as JSONB. A text copy beside it saves 2 µs per returned document, but doubles the file
and the time to write, and slows filters down (measured with 50,000 documents of 1 kB).
"""

from __future__ import annotations

import apsw

from shared.errors import KennelError
from shared.filters.words import STEM_TOKENIZER

SCHEMA_VERSION = 1

# Contentless: the index alone, its text is in the documents already.
_TABLES = f"""
CREATE TABLE documents (
    document_key INTEGER PRIMARY KEY,
    document_id  TEXT UNIQUE NOT NULL,
    list_bits    INTEGER NOT NULL,     -- shared/filters/list_bits.py
    payload      BLOB NOT NULL         -- JSONB of the document as the API returns it
);
CREATE TABLE vectors (
    document_key INTEGER NOT NULL,
    name         TEXT NOT NULL,
    vector       BLOB NOT NULL,        -- little-endian float32
    PRIMARY KEY (document_key, name)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE document_text USING fts5(
    body, content='', contentless_delete=1, tokenize="{" ".join(STEM_TOKENIZER)}"
);
PRAGMA user_version = {SCHEMA_VERSION};
"""


def create_tables(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute(_TABLES)


def check_version(connection: apsw.Connection, path: str) -> None:
    """Raises KennelError when a newer Kennel wrote the file."""
    version = connection.pragma("user_version")
    if version != SCHEMA_VERSION:
        raise KennelError(
            f"{path} has schema version {version}, this Kennel reads {SCHEMA_VERSION}; "
            "start the version of Kennel that wrote it",
            code="schema_version",
        )
