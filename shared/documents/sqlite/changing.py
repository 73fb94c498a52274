"""Changes within one write transaction: no other write comes between reading a document and writing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import apsw

from shared.documents.sqlite.rows import fetch
from shared.documents.sqlite.writing import write_documents
from shared.documents.store import Change, Changed, CollectionRef, DocumentWrite
from shared.errors import InvalidInput
from shared.filters.ast import And, Filter
from shared.filters.sql import Parameters, compile_where
from shared.models.document import Document

_JSON = "CAST(json(payload) AS BLOB)"


def documents_to_change(
    connection: apsw.Connection, ref: CollectionRef, where: Filter | None, after: str, limit: int
) -> list[Document]:
    """Those that pass the filter, in the order of their ids, behind the id `after`."""
    parameters = Parameters()
    condition = compile_where(where or And(()), parameters)
    sql = (
        f"SELECT document_id, {_JSON} FROM documents WHERE {condition}"
        f" AND document_id > {parameters.bind(after)} ORDER BY document_id LIMIT {parameters.bind(limit)}"
    )
    return Document.from_rows(ref.collection_id, fetch(connection, sql, parameters.values))


def change_documents(
    connection: apsw.Connection,
    ref: CollectionRef,
    documents: Iterable[Document],
    change_of: Callable[[Document], Change],
    *,
    at_ms: int,
) -> Changed:
    """Write each document as its change makes it; those that refuse theirs stay as they are.

    Args:
        at_ms: the time of this write, epoch ms.
    """
    writes: list[DocumentWrite] = []
    refused: dict[str, InvalidInput] = {}
    for document in documents:
        try:
            writes.append(change_of(document).apply(document))
        except InvalidInput as error:
            refused[document.document_id] = error
    if not writes:
        return Changed([], 0, refused)
    written = write_documents(connection, ref, writes, at_ms=at_ms)
    return Changed(written.documents, written.awaiting, refused)
