"""The statements of a write transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import orjson

from shared import clock
from shared.documents.sqlite import alert_outbox, outbox
from shared.documents.sqlite.rows import fetch
from shared.documents.sqlite.schema import read_embedding
from shared.documents.sqlite.vectors import VectorWriter
from shared.documents.store import CollectionRef, DocumentWrite, TextEmbedding, Written, vector_name
from shared.documents.stored import check_write, embedding_text, searchable_text, stored_json, text_digest
from shared.errors import InvalidInput
from shared.filters.list_bits import list_bits
from shared.models.document import Document

_KNOWN = (
    "SELECT document_id, document_key, payload ->> '$._internal.created_at', text_digest FROM documents"
    " WHERE document_id IN (SELECT value FROM json_each(?))"
)
# A text that stays keeps its time: its embedding, made or pending, is still the right one.
_WRITE = (
    "INSERT INTO documents (document_id, list_bits, searchable_at, text_digest, payload)"
    " VALUES (?, ?, ?, ?, jsonb(?))"
    " ON CONFLICT (document_id) DO UPDATE SET list_bits = excluded.list_bits, payload = excluded.payload,"
    " searchable_at = iif(text_digest IS NOT NULL AND text_digest IS excluded.text_digest,"
    " searchable_at, excluded.searchable_at), text_digest = excluded.text_digest"
    " RETURNING document_key"
)
_DELETE_TEXT = "DELETE FROM document_text WHERE rowid = ?"
_WRITE_TEXT = "INSERT INTO document_text (rowid, body) VALUES (?, ?)"
_KEYS = (
    "SELECT document_id, document_key FROM documents WHERE document_id IN (SELECT value FROM json_each(?))"
)
_DELETES = (
    "DELETE FROM document_text WHERE rowid IN (SELECT value FROM json_each(?))",
    "DELETE FROM vectors WHERE document_key IN (SELECT value FROM json_each(?))",
    "DELETE FROM outbox WHERE document_key IN (SELECT value FROM json_each(?))",
    "DELETE FROM documents WHERE document_key IN (SELECT value FROM json_each(?))",
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a stored document keeps when it is replaced."""

    document_key: int
    created_at: str
    text_digest: bytes | None


def write_documents(
    connection: apsw.Connection,
    ref: CollectionRef,
    documents: Sequence[DocumentWrite],
    *,
    at_ms: int,
    for_alerts: bool = False,
) -> Written:
    """Insert or replace; where an id comes twice, the last one stays.

    Args:
        at_ms: the time of this write, epoch ms. for_alerts: see `DocumentStore.upsert`.

    Raises:
        InvalidInput: at (index of the document, ...).
    """
    at = clock.iso(at_ms)
    writer = _Writer(connection, ref, [document.document_id for document in documents], at)
    stored = []
    for index, document in enumerate(documents):
        try:
            check_write(document)
            stored.append(writer.write(document))
        except InvalidInput as error:
            raise error.moved(index) from error
    writer.write_texts()
    outbox.add(connection, writer.awaiting, writer.write_seq, at_ms)
    if for_alerts:
        alert_outbox.add(connection, [each.document_id for each in stored], writer.write_seq)
    return Written(stored, writer.write_seq, len(writer.awaiting))


class _Writer:
    """One batch."""

    def __init__(
        self, connection: apsw.Connection, ref: CollectionRef, document_ids: Sequence[str], at: str
    ) -> None:
        self._connection = connection
        self._ref = ref
        self._at = at
        self._embedding: TextEmbedding | None = read_embedding(connection)
        self._vectors = VectorWriter(connection, self._embedding.model if self._embedding else None)
        found = fetch(connection, _KNOWN, (orjson.dumps(document_ids).decode(),))
        self._known = {document_id: _Known(*kept) for document_id, *kept in found}
        self.write_seq: int = fetch(
            connection, "UPDATE collection SET write_seq = write_seq + 1 RETURNING write_seq", ()
        )[0][0]
        self.awaiting: set[int] = set()  # keys of documents whose text is to be embedded
        self._texts: dict[int, str] = {}  # document key -> what the text index gets
        self._replaced_keys: list[int] = []

    def write(self, write: DocumentWrite) -> Document:
        known = self._known.get(write.document_id)
        raw = stored_json(
            self._ref, write, created_at=known.created_at if known else self._at, updated_at=self._at
        )
        # What was written, read back: exactly what the filters and the text index will see.
        payload: dict[str, Any] = orjson.loads(raw)
        brings = self._brings(write, known)
        digest = None if brings else self._digest(payload)
        searchable_at = None if digest else self._at
        row = (write.document_id, list_bits(payload), searchable_at, digest, raw.decode())
        key: int = fetch(self._connection, _WRITE, row)[0][0]
        if known is None:
            self._added(key, write, digest)
        else:
            self._replaced(key, write, known, digest, brings=brings)
        self._texts[key] = searchable_text(payload)
        self._known[write.document_id] = _Known(key, known.created_at if known else self._at, digest)
        return Document(write.document_id, self._ref.collection_id, raw, payload=payload)

    def write_texts(self) -> None:
        """Index the texts of all documents, once they are all written.

        In between, each statement that may have to be undone makes FTS5 write out what it holds (its
        xSavepoint does so), a segment for every document; that took as long as all the rest.
        """
        self._connection.executemany(_DELETE_TEXT, [(key,) for key in self._replaced_keys])
        self._connection.executemany(_WRITE_TEXT, list(self._texts.items()))

    def _brings(self, write: DocumentWrite, known: _Known | None) -> bool:
        """Whether the caller's own vector, given now or kept, stands in for the embedding."""
        if self._embedding is None:
            return False
        if write.vectors is not None:
            return self._embedding.model in {vector_name(each) for each in write.vectors}
        # Vectors that Kennel makes go with a digest of their text.
        if known is None or known.text_digest is not None:
            return False
        return self._vectors.holds(known.document_key, self._embedding.model)

    def _digest(self, payload: Mapping[str, Any]) -> bytes | None:
        """Of the text that Kennel has to embed; None where there is none."""
        if self._embedding is None:
            return None
        return text_digest(embedding_text(payload, self._embedding.fields))

    def _added(self, key: int, write: DocumentWrite, digest: bytes | None) -> None:
        """There is nothing yet that could have to go."""
        self._vectors.add_all(key, write.vectors or {})
        if digest is not None:
            self.awaiting.add(key)

    def _replaced(
        self, key: int, write: DocumentWrite, known: _Known, digest: bytes | None, *, brings: bool
    ) -> None:
        self._replaced_keys.append(key)
        if write.vectors is not None:
            self._vectors.replace(key, write.vectors)
        if digest is None or digest != known.text_digest:
            self._text_changed(key, digest, brings=brings)

    def _text_changed(self, key: int, digest: bytes | None, *, brings: bool) -> None:
        """What was embedded, or given, no longer fits: it goes; a text to embed goes into the outbox."""
        if self._embedding is None:
            return
        if not brings:
            self._vectors.drop(key, self._embedding.model)
        if digest is None:
            outbox.remove(self._connection, key)
            self.awaiting.discard(key)
        else:
            self.awaiting.add(key)


def delete_documents(connection: apsw.Connection, document_ids: Sequence[str]) -> list[str]:
    """Delete, and return the ids that existed in the order given."""
    wanted = orjson.dumps(list(document_ids)).decode()
    keys: dict[str, int] = dict(fetch(connection, _KEYS, [wanted]))
    found = orjson.dumps(list(keys.values())).decode()
    for statement in _DELETES:
        connection.execute(statement, [found])
    alert_outbox.forget(connection, list(keys))
    return [document_id for document_id in dict.fromkeys(document_ids) if document_id in keys]
