"""The statements of a write transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import orjson

from shared.documents.store import CollectionRef, DocumentWrite
from shared.documents.stored import pack_vector, searchable_text, stored_json
from shared.filters.list_bits import list_bits
from shared.models.document import Document

_CREATED = (
    "SELECT document_id, payload ->> '$._internal.created_at' FROM documents"
    " WHERE document_id IN (SELECT value FROM json_each(?))"
)
_WRITE = (
    "INSERT INTO documents (document_id, list_bits, payload) VALUES (?, ?, jsonb(?))"
    " ON CONFLICT (document_id) DO UPDATE SET list_bits = excluded.list_bits, payload = excluded.payload"
    " RETURNING document_key"
)
_KEYS = (
    "SELECT document_id, document_key FROM documents WHERE document_id IN (SELECT value FROM json_each(?))"
)
_DELETES = (
    "DELETE FROM document_text WHERE rowid IN (SELECT value FROM json_each(?))",
    "DELETE FROM vectors WHERE document_key IN (SELECT value FROM json_each(?))",
    "DELETE FROM documents WHERE document_key IN (SELECT value FROM json_each(?))",
)


def write_documents(
    connection: apsw.Connection, ref: CollectionRef, documents: Sequence[DocumentWrite], *, at: str
) -> list[Document]:
    """Insert or replace; where an id comes twice, the last one stays.

    Args:
        at: the time of this write, ISO 8601.
    """
    ids = orjson.dumps([document.document_id for document in documents]).decode()
    created_at: dict[str, str] = dict(_fetch(connection, _CREATED, [ids]))
    stored: list[Document] = []
    for write in documents:
        is_new = write.document_id not in created_at
        created = created_at.setdefault(write.document_id, at)
        raw = stored_json(ref, write, created_at=created, updated_at=at)
        # What was written, read back: exactly what the filters and the text index will see.
        payload: dict[str, Any] = orjson.loads(raw)
        row = (write.document_id, list_bits(payload), raw.decode())
        key: int = _fetch(connection, _WRITE, row)[0][0]
        _write_text(connection, key, payload, is_new=is_new)
        if write.vectors is not None:
            _write_vectors(connection, key, write.vectors)
        stored.append(Document(write.document_id, ref.collection_id, raw, payload=payload))
    return stored


def delete_documents(connection: apsw.Connection, document_ids: Sequence[str]) -> list[str]:
    """Delete, and return the ids that existed in the order given."""
    wanted = orjson.dumps(list(document_ids)).decode()
    keys: dict[str, int] = dict(_fetch(connection, _KEYS, [wanted]))
    found = orjson.dumps(list(keys.values())).decode()
    for statement in _DELETES:
        connection.execute(statement, [found])
    return [document_id for document_id in dict.fromkeys(document_ids) if document_id in keys]


def _write_text(connection: apsw.Connection, key: int, payload: Mapping[str, Any], *, is_new: bool) -> None:
    if not is_new:
        connection.execute("DELETE FROM document_text WHERE rowid = ?", [key])
    connection.execute(
        "INSERT INTO document_text (rowid, body) VALUES (?, ?)", [key, searchable_text(payload)]
    )


def _write_vectors(connection: apsw.Connection, key: int, vectors: Mapping[str, Sequence[float]]) -> None:
    connection.execute("DELETE FROM vectors WHERE document_key = ?", [key])
    for name, numbers in vectors.items():
        connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", [key, name, pack_vector(name, numbers)])


def _fetch(connection: apsw.Connection, sql: str, values: Sequence[Any]) -> list[Any]:
    return connection.execute(sql, values).fetchall()
