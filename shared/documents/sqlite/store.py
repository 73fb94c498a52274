"""DocumentStore on SQLite: each read is one statement, each write one transaction in a fair turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import orjson

from shared import clock
from shared.documents.cursor import read_cursor
from shared.documents.sqlite import text
from shared.documents.sqlite.faults import kennel_error
from shared.documents.sqlite.handles import Handles
from shared.documents.sqlite.schema import create_tables
from shared.documents.sqlite.turns import remove_locks, write_turn
from shared.documents.sqlite.writing import delete_documents, write_documents
from shared.documents.store import CollectionRef, DocumentWrite, TextHits, validate_id
from shared.documents.stored import check_write, unpack_vector
from shared.filters.ast import And, Filter
from shared.filters.sort import SortKey
from shared.filters.sql import Parameters, compile_where
from shared.filters.sql_sort import compile_after, compile_order
from shared.models.document import Document

WRITE_WAIT_S = 10.0

_JSON = "CAST(json(payload) AS BLOB)"
# A CROSS JOIN is never turned round: the rows come in the order of the ids asked.
_GET = f"SELECT document_id, {_JSON} FROM json_each(?) CROSS JOIN documents ON document_id = value"
_VECTORS = (
    "SELECT document_id, name, vector FROM documents JOIN vectors USING (document_key)"
    " WHERE document_id IN (SELECT value FROM json_each(?1))"
    " AND (?2 IS NULL OR name IN (SELECT value FROM json_each(?2)))"
)


class SqliteDocumentStore:
    """Safe to share between threads, and to inherit over a fork."""

    def __init__(self, directory: Path, *, write_wait_s: float = WRITE_WAIT_S) -> None:
        """
        Args:
            directory: holds `<namespace_id>/<collection_id>.db`; on a local disk, never a network one.
            write_wait_s: how long a write waits for its turn before it is refused.
        """
        self._directory = directory
        self._write_wait_s = write_wait_s
        self._handles = Handles(directory)

    def create_collection(self, ref: CollectionRef) -> None:
        path = self._handles.path(ref)
        with _domain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_turn(path, self._write_wait_s):
                if not path.exists():
                    _create_file(path)

    def drop_collection(self, ref: CollectionRef) -> None:
        path = self._handles.path(ref)
        if path.exists():
            with _domain_errors(path), suppress(FileNotFoundError), write_turn(path, self._write_wait_s):
                _remove_files(path)
                remove_locks(path)

    def drop_namespace(self, namespace_id: str) -> None:
        directory = self._directory / validate_id(namespace_id, "namespace_id")
        for path in sorted(directory.glob("*.db")):
            self.drop_collection(CollectionRef(namespace_id, path.stem))
        shutil.rmtree(directory, ignore_errors=True)

    def upsert(self, ref: CollectionRef, documents: Sequence[DocumentWrite]) -> list[Document]:
        for document in documents:
            check_write(document)
        with self._transaction(ref) as connection:
            return write_documents(connection, ref, documents, at=clock.utc_now_iso())

    def delete(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[str]:
        with self._transaction(ref) as connection:
            return delete_documents(connection, document_ids)

    def get(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[Document]:
        rows = self._rows(ref, _GET, [orjson.dumps(list(document_ids)).decode()])
        return Document.from_rows(ref.collection_id, rows)

    def get_vectors(
        self, ref: CollectionRef, document_ids: Sequence[str], names: Sequence[str] | None = None
    ) -> dict[str, dict[str, list[float]]]:
        wanted = None if names is None else orjson.dumps(list(names)).decode()
        vectors: dict[str, dict[str, list[float]]] = {}
        for document_id, name, packed in self._rows(
            ref, _VECTORS, [orjson.dumps(list(document_ids)).decode(), wanted]
        ):
            vectors.setdefault(document_id, {})[name] = unpack_vector(packed)
        return vectors

    def count(self, ref: CollectionRef, where: Filter | None = None) -> int:
        parameters = Parameters()
        filtered = "" if where is None else f" WHERE {compile_where(where, parameters)}"  # WHERE 1 would scan
        rows = self._rows(ref, f"SELECT count(*) FROM documents{filtered}", parameters.values)
        return int(rows[0][0])

    def select(
        self,
        ref: CollectionRef,
        *,
        where: Filter | None = None,
        sort: Sequence[SortKey] = (),
        limit: int,
        offset: int = 0,
        after: str | None = None,
    ) -> list[Document]:
        parameters = Parameters()
        condition = compile_where(where or And(()), parameters)
        if after is not None:
            condition += f" AND {compile_after(sort, *read_cursor(after, sort), parameters)}"
        tail = (
            f"FROM documents WHERE {condition} ORDER BY {compile_order(sort, parameters)}"
            f" LIMIT {parameters.bind(limit)} OFFSET {parameters.bind(offset)}"
        )
        sql = f"SELECT document_id, {_JSON} {tail}"
        if sort:  # a sort makes the JSON of every row it reads: order bare keys, then read the page
            keys = f"SELECT document_key {tail}"
            sql = f"SELECT document_id, {_JSON} FROM ({keys}) CROSS JOIN documents USING (document_key)"
        return Document.from_rows(ref.collection_id, self._rows(ref, sql, parameters.values))

    def search_text(
        self,
        ref: CollectionRef,
        query: str,
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
    ) -> TextHits:
        match = text.match_expression(query)
        if match is None:
            self._rows(ref, "SELECT 1", [])  # an unknown collection is an error all the same
            return TextHits([], 0)
        rows = self._rows(ref, *text.search_statement(match, where, keep, limit))
        documents = [
            Document(document_id, ref.collection_id, raw, score=score)
            for document_id, raw, score in rows
            if raw is not None
        ]
        return TextHits(documents, len(rows))

    def _rows(self, ref: CollectionRef, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._handles.connection(ref).execute(sql, values).fetchall()
        except (apsw.Error, OSError) as error:
            raise kennel_error(error, self._handles.path(ref)) from error

    @contextmanager
    def _transaction(self, ref: CollectionRef) -> Iterator[apsw.Connection]:
        path = self._handles.path(ref)
        with _domain_errors(path):
            self._handles.connection(ref)  # an unknown collection is refused before it gets lock files
            with write_turn(path, self._write_wait_s):
                connection = self._handles.connection(ref)  # it may have been dropped while this waited
                with connection:
                    yield connection


@contextmanager
def _domain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise kennel_error(error, path) from error


def _create_file(path: Path) -> None:
    """Build the file aside and rename it: nobody ever opens half a collection."""
    draft = path.with_suffix(".new")
    _remove_files(draft)
    connection = apsw.Connection(str(draft))
    try:
        create_tables(connection)
    finally:
        connection.close()
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the name, too, survives a power cut
    finally:
        os.close(descriptor)


def _remove_files(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        (path.parent / name).unlink(missing_ok=True)
