"""Documents: one call of the store each, answered with its bytes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from api.directory import CollectionDirectory
from api.pool import DocumentPool
from api.schemas.documents import (
    BATCH_MAX,
    DocumentCreate,
    DocumentDeleteBody,
    DocumentUpsert,
    UpsertBody,
    VectorChoice,
)
from api.services.documents.answers import joined, rendered, with_member, with_references
from api.services.documents.upsert_once import UpsertOnce
from api.services.documents.wakeup import Wakeup
from api.services.resources.collections import CollectionService
from shared import ids
from shared.documents.store import CollectionRef, DocumentStore, DocumentWrite, Written
from shared.documents.write_token import make_write_token
from shared.errors import InvalidInput, NotFound
from shared.filters.ast import Filter
from shared.filters.parse import parse_filter
from shared.logs import log_event
from shared.models.alert import Mode, attachments_of

logger = logging.getLogger("kennel.api")


@dataclass(frozen=True, slots=True)
class _Target:
    """A collection to write to."""

    ref: CollectionRef
    for_alerts: bool  # alerts are attached to it that run on ingest


class DocumentService:
    """Every method takes the caller's namespace; collections are ids or names in it."""

    def __init__(
        self,
        collections: CollectionDirectory,
        collection_service: CollectionService,
        pool: DocumentPool,
        wakeup: Wakeup,
        once: UpsertOnce,
    ) -> None:
        self._collections = collections
        self._collection_service = collection_service
        self._pool = pool
        self._wakeup = wakeup
        self._once = once

    async def create(self, namespace_id: str, collection: str, request: DocumentCreate) -> bytes:
        """The stored document.

        Raises:
            NotFound: no such collection.
            InvalidInput: a field or vector that cannot be stored, or another collection in the body.
        """
        target = await self._target(namespace_id, collection)
        if request.collection_id and (await self._ref(namespace_id, request.collection_id)) != target.ref:
            raise InvalidInput.at(["collection_id"], "names another collection than the path; leave it out")
        write = _new_document(request)
        try:
            written = await self._write(target, [write])
        except InvalidInput as error:
            raise error.moved(drop=1) from error
        document = written.documents[0]
        since = None if written.awaiting else document.payload["_internal"]["updated_at"]
        return with_member(document.raw or b"", "searchable_at", since)

    async def upsert(self, key_id: str, namespace_id: str, request: UpsertBody) -> bytes:
        """Store a batch: all documents or none.

        Args:
            key_id: of the caller's API key.

        Raises:
            NotFound: no such collection. InvalidInput: a document that cannot be stored.
            Conflict: the idempotency key came with another body.
        """
        return await self._once.run(
            key_id, namespace_id, request, lambda: self._upsert(namespace_id, request)
        )

    async def _upsert(self, namespace_id: str, request: UpsertBody) -> dict[str, Any]:
        collection = request.collection_id or await self._collection_service.direct_upsert_id(namespace_id)
        target = await self._target(namespace_id, collection)
        writes = [_upserted_document(document) for document in request.documents]
        try:
            written = await self._write(target, writes)
        except InvalidInput as error:
            raise error.moved("documents") from error
        unknown = sorted({key for document in request.documents for key in document.unknown_keys()})
        return {
            "inserted": len(written.documents),
            "document_ids": [document.document_id for document in written.documents],
            "write_token": make_write_token(target.ref.collection_id, written.write_seq)
            if request.options.write_token
            else None,
            "dropped_payload_fields": None,
            "unsearchable_document_ids": None,
            "consistency": None,
            "warnings": request.warnings()
            + [
                f"the key {key!r} of documents is unknown and was ignored; fields belong into payload"
                for key in unknown
            ],
        }

    async def get(
        self,
        namespace_id: str,
        collection: str,
        document_id: str,
        vectors: VectorChoice,
        expand: Sequence[str] = (),
    ) -> bytes:
        """The document, with the vectors asked for, and what it refers to in the fields of `expand`."""
        ref = await self._ref(namespace_id, collection)
        refs = await self._all_refs(namespace_id) if expand else []

        def read(documents: DocumentStore) -> bytes | None:
            found = documents.get(ref, [document_id])
            bodies = rendered(documents, ref, found, vectors)
            return next(iter(with_references(documents, refs, found, bodies, expand)[0]), None)

        return _found(await self._pool.run(read), document_id, f"collection {collection!r}")

    async def get_anywhere(
        self, namespace_id: str, document_id: str, vectors: VectorChoice, expand: Sequence[str] = ()
    ) -> bytes:
        """The same in whichever collection holds the document; the newest collection wins."""
        found = await self._search_collections(namespace_id, [document_id], vectors, expand)
        return _found(found.get(document_id), document_id, "this namespace")

    async def get_many(self, namespace_id: str, document_ids: Sequence[str], vectors: VectorChoice) -> bytes:
        """The documents of any collection in the order asked, and the ids that none holds."""
        wanted = list(dict.fromkeys(document_ids))
        found = await self._search_collections(namespace_id, wanted, vectors)
        missing = [document_id for document_id in wanted if document_id not in found]
        bodies = [found[document_id] for document_id in wanted if document_id in found]
        return joined("documents", bodies, {"not_found": missing})

    async def count(self, namespace_id: str, collection: str) -> dict[str, Any]:
        ref = await self._ref(namespace_id, collection)
        count = await self._pool.run(lambda documents: documents.count(ref))
        return {"collection_id": ref.collection_id, "count": count}

    async def delete(self, namespace_id: str, collection: str, document_id: str) -> None:
        """Raises NotFound when there is no such document."""
        ref = await self._ref(namespace_id, collection)
        deleted = await self._pool.run(lambda documents: documents.delete(ref, [document_id]))
        _found(b"" if deleted else None, document_id, f"collection {collection!r}")

    async def delete_batch(
        self, namespace_id: str, collection: str, request: DocumentDeleteBody
    ) -> dict[str, Any]:
        """Delete by ids (each reported) or by filters (only counted)."""
        ref = await self._ref(namespace_id, collection)
        results: list[dict[str, Any]] = []
        if request.document_ids:
            results = await self._delete_ids(ref, request.document_ids)
            deleted = sum(result["success"] for result in results)
        else:
            where = parse_filter(request.filters, loc=("filters",))
            if where is None:
                raise InvalidInput.at(["filters"], "holds no condition, which would delete everything")
            deleted = await self._delete_matching(ref, where)
        log_event(
            logger, "documents.deleted", collection_id=ref.collection_id, count=deleted, reason=request.reason
        )
        return {
            "deleted_count": deleted,
            "failed_count": len(results) - deleted if results else 0,
            "results": results,
            "message": f"{deleted} documents deleted",
            "task_id": None,
            "status": "COMPLETED",
            "limits": None,
        }

    async def _delete_ids(self, ref: CollectionRef, document_ids: Sequence[str]) -> list[dict[str, Any]]:
        deleted = set(await self._pool.run(lambda documents: documents.delete(ref, document_ids)))
        return [
            {
                "document_id": each,
                "success": each in deleted,
                "error": None if each in deleted else "not found",
            }
            for each in dict.fromkeys(document_ids)
        ]

    async def _delete_matching(self, ref: CollectionRef, where: Filter) -> int:
        """In batches, so that others can write in between; what is written meanwhile may stay."""

        def delete_some(documents: DocumentStore) -> int:
            some = documents.select(ref, where=where, limit=BATCH_MAX)
            return len(documents.delete(ref, [document.document_id for document in some])) if some else 0

        matching = await self._pool.run(lambda documents: documents.count(ref, where))
        deleted = 0
        for _ in range(0, matching, BATCH_MAX):
            deleted += await self._pool.run(delete_some)
        return deleted

    async def _search_collections(
        self,
        namespace_id: str,
        document_ids: Sequence[str],
        vectors: VectorChoice,
        expand: Sequence[str] = (),
    ) -> dict[str, bytes]:
        refs = await self._all_refs(namespace_id)

        def read(documents: DocumentStore) -> dict[str, bytes]:
            found: dict[str, bytes] = {}
            for ref in refs:
                missing = [document_id for document_id in document_ids if document_id not in found]
                if not missing:
                    break
                with suppress(NotFound):  # the collection was deleted meanwhile
                    here = documents.get(ref, missing)
                    bodies = rendered(documents, ref, here, vectors)
                    bodies, _ = with_references(documents, refs, here, bodies, expand)
                    found |= {document.document_id: body for document, body in zip(here, bodies, strict=True)}
            return found

        return await self._pool.run(read)

    async def _write(self, target: _Target, writes: Sequence[DocumentWrite]) -> Written:
        """Store, and wake whoever embeds or asks alerts."""
        ref, for_alerts = target.ref, target.for_alerts
        written = await self._pool.run(lambda documents: documents.upsert(ref, writes, for_alerts=for_alerts))
        await self._wakeup.want(ref, written.awaiting, for_alerts=for_alerts and bool(writes))
        return written

    async def _all_refs(self, namespace_id: str) -> list[CollectionRef]:
        """Every collection of the namespace, newest first."""
        return [
            CollectionRef(namespace_id, each) for each in await self._collection_service.ids(namespace_id)
        ]

    async def _ref(self, namespace_id: str, collection: str) -> CollectionRef:
        return (await self._target(namespace_id, collection)).ref

    async def _target(self, namespace_id: str, collection: str) -> _Target:
        found = await self._collections.find(namespace_id, collection)
        ref = CollectionRef(namespace_id, found.resource_id)
        return _Target(ref, for_alerts=bool(attachments_of(found.answer(), Mode.ON_INGEST)))


def _new_document(request: DocumentCreate) -> DocumentWrite:
    if request.document_id is not None:
        raise InvalidInput.at(
            ["document_id"],
            "is made by the server; use POST /v1/namespaces/{ns}/documents/upsert to choose it",
        )
    fields = dict(request.model_extra or {})
    if request.metadata is not None:
        fields["metadata"] = request.metadata
    system: dict[str, Any] = {"lineage": request.lineage()}
    if request.content_hash is not None:
        system["content_hash"] = request.content_hash
    if request.document_schema_version is not None:
        system["document_schema_version"] = request.document_schema_version
    return DocumentWrite(ids.document_id(), fields, request.vectors or {}, system)


def _upserted_document(request: DocumentUpsert) -> DocumentWrite:
    system: dict[str, Any] = {"lineage": request.lineage()}
    if request.metadata is not None:
        system["metadata"] = request.metadata
    if request.content_hash is not None:
        system["content_hash"] = request.content_hash
    return DocumentWrite(request.document_id, request.payload or {}, request.vectors or {}, system)


def _found(body: bytes | None, document_id: str, where: str) -> bytes:
    if body is None:
        raise NotFound(f"no document has the id {document_id!r} in {where}")
    return body
