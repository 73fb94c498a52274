"""DocumentStore on SQLite: each read is one statement, each write one transaction in a fair turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import orjson

from shared import clock
from shared.documents.cursor import read_cursor
from shared.documents.sqlite import alert_outbox, outbox, text
from shared.documents.sqlite.changing import change_documents, documents_to_change
from shared.documents.sqlite.facets import facet_statement, facet_value
from shared.documents.sqlite.faults import kennel_error
from shared.documents.sqlite.handles import Handles
from shared.documents.sqlite.matrices import Matrices
from shared.documents.sqlite.nearest import nearest, rows_statement
from shared.documents.sqlite.rows import fetch
from shared.documents.sqlite.schema import create_tables, read_shape
from shared.documents.sqlite.turns import embedding_turn_path, remove_locks, turn_if_free, write_turn
from shared.documents.sqlite.vectors import read_vectors
from shared.documents.sqlite.writing import delete_documents, write_documents
from shared.documents.store import (
    Backlog,
    Change,
    Changed,
    CollectionRef,
    CollectionShape,
    DocumentWrite,
    Hits,
    Ingested,
    PendingText,
    TextEmbedding,
    VectorConfig,
    VectorValue,
    Written,
    validate_id,
    vector_name,
)
from shared.errors import KennelError
from shared.filters.ast import And, Filter
from shared.filters.sort import SortKey
from shared.filters.sql import Parameters, compile_where, json_path
from shared.filters.sql_sort import compile_after, compile_order
from shared.models.document import Document

WRITE_WAIT_S = 10.0
VECTOR_CACHE_BYTES = 500_000_000

_JSON = "CAST(json(payload) AS BLOB)"
# A CROSS JOIN is never turned round: the rows come in the order of the ids asked.
_GET = f"SELECT document_id, {_JSON} FROM json_each(?) CROSS JOIN documents ON document_id = value"
_SEARCHABLE_AT = (
    "SELECT document_id, searchable_at FROM documents WHERE document_id IN (SELECT value FROM json_each(?))"
)


class SqliteDocumentStore:
    """Safe to share between threads, and to inherit over a fork."""

    def __init__(
        self,
        directory: Path,
        *,
        write_wait_s: float = WRITE_WAIT_S,
        vector_cache_bytes: int = VECTOR_CACHE_BYTES,
    ) -> None:
        """
        Args:
            directory: holds `<namespace_id>/<collection_id>.db`; on a local disk, never a network one.
            write_wait_s: how long a write waits for its turn before it is refused.
            vector_cache_bytes: vectors kept in memory, of all collections together.
        """
        self._directory = directory
        self._write_wait_s = write_wait_s
        self._handles = Handles(directory)
        self._matrices = Matrices(vector_cache_bytes)
        # When a collection whose outbox was empty was last written to, by path.
        self._embedded_at_ns: dict[Path, int] = {}
        self._dispatched_at_ns: dict[Path, int] = {}

    def create_collection(
        self,
        ref: CollectionRef,
        embedding: TextEmbedding | None = None,
        declared: Sequence[VectorConfig] | None = None,
    ) -> None:
        path = self._handles.path(ref)
        with _domain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_turn(path, self._write_wait_s):
                if not path.exists():
                    _create_file(path, embedding, declared)

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

    def shape(self, ref: CollectionRef) -> CollectionShape:
        with self._reading(ref) as connection:
            return read_shape(connection)

    def upsert(
        self, ref: CollectionRef, documents: Sequence[DocumentWrite], *, for_alerts: bool = False
    ) -> Written:
        with self._transaction(ref) as connection:
            return write_documents(connection, ref, documents, at_ms=clock.now_ms(), for_alerts=for_alerts)

    def delete(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[str]:
        with self._transaction(ref) as connection:
            return delete_documents(connection, document_ids)

    def change(self, ref: CollectionRef, changes: Mapping[str, Change]) -> Changed:
        with self._transaction(ref) as connection:
            rows = fetch(connection, _GET, [orjson.dumps(list(changes)).decode()])
            found = Document.from_rows(ref.collection_id, rows)
            return change_documents(
                connection, ref, found, lambda each: changes[each.document_id], at_ms=clock.now_ms()
            )

    def change_matching(
        self, ref: CollectionRef, change: Change, *, where: Filter | None, after: str = "", limit: int
    ) -> Changed:
        with self._transaction(ref) as connection:
            found = documents_to_change(connection, ref, where, after, limit)
            return change_documents(connection, ref, found, lambda _: change, at_ms=clock.now_ms())

    def get(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[Document]:
        rows = self._rows(ref, _GET, [orjson.dumps(list(document_ids)).decode()])
        return Document.from_rows(ref.collection_id, rows)

    def get_vectors(
        self, ref: CollectionRef, document_ids: Sequence[str], names: Sequence[str] | None = None
    ) -> dict[str, dict[str, VectorValue]]:
        with self._reading(ref) as connection:
            return read_vectors(connection, document_ids, names)

    def searchable_at(self, ref: CollectionRef, document_ids: Sequence[str]) -> dict[str, str | None]:
        return dict(self._rows(ref, _SEARCHABLE_AT, [orjson.dumps(list(document_ids)).decode()]))

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

    def scan(
        self, ref: CollectionRef, fields: Sequence[str], *, where: Filter | None = None
    ) -> Iterator[Mapping[str, Any]]:
        parameters = Parameters()
        members = [
            f"{parameters.bind(each)}, payload -> {parameters.bind(json_path([each]))}" for each in fields
        ]
        condition = compile_where(where or And(()), parameters)
        sql = (
            f"SELECT json_object({', '.join(members)}) FROM documents WHERE {condition} ORDER BY document_id"
        )
        with _domain_errors(self._handles.path(ref)):
            for (record,) in self._handles.connection(ref).execute(sql, parameters.values):
                yield orjson.loads(record)

    def search_text(
        self,
        ref: CollectionRef,
        query: str,
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
        payloads: bool = True,
    ) -> Hits:
        match = text.match_expression(query)
        if match is None:
            self._rows(ref, "SELECT 1", [])  # an unknown collection is an error all the same
            return Hits([], 0)
        rows = self._rows(ref, *text.search_statement(match, where, keep, limit, payloads=payloads))
        return Hits([_hit(ref, *row) for row in rows if row[1] is not None], len(rows))

    def search_vector(
        self,
        ref: CollectionRef,
        name: str,
        queries: Sequence[Sequence[float]],
        *,
        where: Filter | None = None,
        keep: Filter | None = None,
        limit: int,
        payloads: bool = True,
    ) -> Hits:
        with self._reading(ref) as connection:
            found = nearest(connection, self._matrices, vector_name(name), queries, where, limit)
            if not payloads and keep is None:
                return Hits([_hit(ref, hit.document_id, b"", hit.score) for hit in found], len(found))
            scores = {hit.document_key: hit.score for hit in found}
            rows = fetch(connection, *rows_statement(list(scores), keep))
        documents = [_hit(ref, each, raw, scores[key]) for key, each, raw in rows if raw is not None]
        return Hits(documents, len(found))

    def facet(
        self, ref: CollectionRef, path: str, *, where: Filter | None = None, limit: int
    ) -> list[tuple[Any, int]]:
        rows = self._rows(ref, *facet_statement(path, where, limit))
        return [(facet_value(type_, value), count) for type_, value, count in rows]

    def backlog(self, ref: CollectionRef) -> Backlog:
        with self._reading(ref) as connection:
            return outbox.backlog(connection)

    def behind(self) -> list[CollectionRef]:
        return self._waiting(self._embedded_at_ns, lambda ref: self.backlog(ref).count > 0)

    def _waiting(
        self, seen_at_ns: dict[Path, int], is_waiting: Callable[[CollectionRef], bool]
    ) -> list[CollectionRef]:
        found: list[CollectionRef] = []
        for path in sorted(self._directory.glob("*/*.db")):
            written_at_ns = max(_changed_at_ns(path), _changed_at_ns(path.with_name(f"{path.name}-wal")))
            if seen_at_ns.get(path) == written_at_ns:
                continue
            with suppress(KennelError):  # dropped, damaged, or no file of ours: the others still count
                ref = CollectionRef(path.parent.name, path.stem)
                if is_waiting(ref):
                    found.append(ref)
                else:
                    seen_at_ns[path] = written_at_ns
        return found

    def pending_texts(self, ref: CollectionRef, limit: int, *, now_ms: int) -> list[PendingText]:
        with self._reading(ref) as connection:
            return outbox.due(connection, limit, now_ms)

    def store_embeddings(
        self, ref: CollectionRef, embedded: Sequence[tuple[PendingText, Sequence[float]]]
    ) -> int:
        with self._transaction(ref) as connection:
            return outbox.store(connection, embedded)

    def postpone(self, ref: CollectionRef, failed: Sequence[PendingText], *, until_ms: int) -> None:
        with self._transaction(ref) as connection:
            outbox.postpone(connection, failed, until_ms)

    def ingested(self, ref: CollectionRef, limit: int) -> list[Ingested]:
        with self._reading(ref) as connection:
            return alert_outbox.oldest(connection, limit)

    def dispatched(self, ref: CollectionRef, asked: Sequence[Ingested]) -> None:
        with self._transaction(ref) as connection:
            alert_outbox.remove(connection, asked)

    def with_ingested(self) -> list[CollectionRef]:
        return self._waiting(self._dispatched_at_ns, self._has_ingested)

    def _has_ingested(self, ref: CollectionRef) -> bool:
        with self._reading(ref) as connection:
            return not alert_outbox.is_empty(connection)

    @contextmanager
    def embedding_turn(self, ref: CollectionRef) -> Iterator[bool]:
        path = self._handles.path(ref)
        with _domain_errors(path):
            self._handles.connection(ref)
            with turn_if_free(embedding_turn_path(path)) as mine:
                yield mine

    def _rows(self, ref: CollectionRef, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._handles.connection(ref).execute(sql, values).fetchall()
        except (apsw.Error, OSError) as error:
            raise kennel_error(error, self._handles.path(ref)) from error

    @contextmanager
    def _reading(self, ref: CollectionRef) -> Iterator[apsw.Connection]:
        """Several statements see one state of the collection."""
        with _domain_errors(self._handles.path(ref)):
            connection = self._handles.connection(ref)
            with connection:
                yield connection

    @contextmanager
    def _transaction(self, ref: CollectionRef) -> Iterator[apsw.Connection]:
        path = self._handles.path(ref)
        with _domain_errors(path):
            self._handles.connection(ref)  # an unknown collection is refused before it gets lock files
            with write_turn(path, self._write_wait_s):
                connection = self._handles.connection(ref)  # it may have been dropped while this waited
                with connection:
                    yield connection


def _changed_at_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _hit(ref: CollectionRef, document_id: str, raw: bytes, score: float) -> Document:
    return Document(document_id, ref.collection_id, raw or None, score=score)


@contextmanager
def _domain_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise kennel_error(error, path) from error


def _create_file(
    path: Path, embedding: TextEmbedding | None, declared: Sequence[VectorConfig] | None
) -> None:
    """Build the file aside and rename it: nobody ever opens half a collection."""
    draft = path.with_suffix(".new")
    _remove_files(draft)
    connection = apsw.Connection(str(draft))
    try:
        create_tables(connection, embedding, declared)
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
