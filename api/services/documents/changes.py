"""Changes of stored documents. Each reads and writes in one transaction, so that none undoes another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.directory import CollectionDirectory
from api.pool import DocumentPool
from api.schemas.document_changes import (
    DocumentBatchUpdate,
    DocumentBulkUpdate,
    DocumentUpdate,
    SystemFields,
)
from api.schemas.documents import BATCH_MAX, Lineage, VectorChoice
from api.services.documents.answers import rendered
from api.services.documents.wakeup import Wakeup
from api.services.resources.collections import CollectionService
from api.services.validation import validated
from shared.documents.changes import DocumentChange, FieldChange, assigning, merging
from shared.documents.store import RESERVED_FIELDS, Changed, CollectionRef, DocumentStore
from shared.errors import InvalidInput, NotFound
from shared.filters.ast import Filter
from shared.filters.parse import parse_filter
from shared.filters.paths import validate_path

_ELSEWHERE = {
    "vectors": "cannot be changed here; write the document with POST /v1/namespaces/{ns}/documents/upsert",
    "features": "is not supported yet; leave it out",
    **dict.fromkeys(RESERVED_FIELDS, "is set by the server; leave it out"),
}


class DocumentChangeService:
    """Every method takes the caller's namespace; collections are ids or names in it."""

    def __init__(
        self,
        collections: CollectionDirectory,
        collection_service: CollectionService,
        pool: DocumentPool,
        wakeup: Wakeup,
    ) -> None:
        self._collections = collections
        self._collection_service = collection_service
        self._pool = pool
        self._wakeup = wakeup

    async def change(
        self, namespace_id: str, collection: str, document_id: str, fields: Mapping[str, Any]
    ) -> bytes:
        """The changed document.

        Raises:
            NotFound: no such collection or document. InvalidInput: a field that cannot be changed.
        """
        change = _change(fields, merging)
        ref = await self._ref(namespace_id, collection)
        return await self._change_one(ref, document_id, change, f"collection {collection!r}")

    async def change_anywhere(self, namespace_id: str, document_id: str, fields: Mapping[str, Any]) -> bytes:
        """The same in whichever collection holds the document; the newest collection wins."""
        change = _change(fields, merging)
        refs = [
            CollectionRef(namespace_id, each) for each in await self._collection_service.ids(namespace_id)
        ]

        def holder(documents: DocumentStore) -> CollectionRef | None:
            return next((ref for ref in refs if documents.get(ref, [document_id])), None)

        ref = await self._pool.run(holder)
        if ref is None:
            raise _unknown(document_id, "this namespace")
        return await self._change_one(ref, document_id, change, "this namespace")

    async def change_batch(
        self, namespace_id: str, collection: str, request: DocumentBatchUpdate
    ) -> dict[str, Any]:
        """Each of the updates, reported one by one; or one for all that pass the filters, counted."""
        ref = await self._ref(namespace_id, collection)
        if request.updates:
            results = await self._change_each(ref, request.updates)
            updated = sum(result["success"] for result in results)
            return _batch_answer(updated, len(results) - updated, results, _message(updated, {}))
        change = _change(request.update_data or {}, assigning, at=["update_data"])
        where = parse_filter(request.filters, loc=("filters",))
        if where is None:
            raise InvalidInput.at(["filters"], "holds no condition; PATCH …/documents/bulk changes all")
        updated, refused = await self._change_matching(ref, change, where)
        return _batch_answer(updated, len(refused), [], _message(updated, refused))

    async def change_all(
        self, namespace_id: str, collection: str, request: DocumentBulkUpdate
    ) -> dict[str, Any]:
        """One change for all that pass the filters, done when this returns."""
        ref = await self._ref(namespace_id, collection)
        change = _change(request.update_data, assigning, at=["update_data"])
        where = parse_filter(request.filters, loc=("filters",))
        updated, refused = await self._change_matching(ref, change, where)
        return {
            "task_id": None,
            "status": "COMPLETED",
            "updated_count": updated,
            "message": _message(updated, refused),
        }

    async def _change_one(
        self, ref: CollectionRef, document_id: str, change: DocumentChange, where: str
    ) -> bytes:
        def run(documents: DocumentStore) -> tuple[Changed, list[bytes]]:
            changed = documents.change(ref, {document_id: change})
            return changed, rendered(documents, ref, changed.documents, VectorChoice())

        changed, bodies = await self._pool.run(run)
        await self._wakeup.want(ref, changed.awaiting)
        if changed.refused:
            raise changed.refused[document_id]
        if not bodies:
            raise _unknown(document_id, where)
        return bodies[0]

    async def _change_each(
        self, ref: CollectionRef, updates: Sequence[DocumentUpdate]
    ) -> list[dict[str, Any]]:
        changes = {
            update.document_id: _change(update.update_data, assigning, at=["updates", index, "update_data"])
            for index, update in enumerate(updates)
        }
        changed = await self._pool.run(lambda documents: documents.change(ref, changes))
        await self._wakeup.want(ref, changed.awaiting)
        errors: dict[str, str | None] = dict.fromkeys(changes, "not found")
        errors |= {document_id: error.message for document_id, error in changed.refused.items()}
        errors |= dict.fromkeys((document.document_id for document in changed.documents), None)
        return [
            {"document_id": document_id, "success": error is None, "error": error}
            for document_id, error in errors.items()
        ]

    async def _change_matching(
        self, ref: CollectionRef, change: DocumentChange, where: Filter | None
    ) -> tuple[int, Mapping[str, InvalidInput]]:
        """In batches, so that others can write in between; what is written meanwhile may stay.

        Returns:
            How many were changed, and why others were not.
        """
        matching = await self._pool.run(lambda documents: documents.count(ref, where))
        updated, after = 0, ""
        refused: dict[str, InvalidInput] = {}
        for _ in range(0, matching, BATCH_MAX):
            changed = await self._pool.run(_batch(ref, change, where, after))
            updated += len(changed.documents)
            refused |= changed.refused
            after = changed.last_id or after
            await self._wakeup.want(ref, changed.awaiting)
        return updated, refused

    async def _ref(self, namespace_id: str, collection: str) -> CollectionRef:
        found = await self._collections.find(namespace_id, collection)
        return CollectionRef(namespace_id, found.resource_id)


def _batch(
    ref: CollectionRef, change: DocumentChange, where: Filter | None, after: str
) -> Callable[[DocumentStore], Changed]:
    return lambda documents: documents.change_matching(ref, change, where=where, after=after, limit=BATCH_MAX)


def _change(
    given: Mapping[str, Any],
    change_of: Callable[[Mapping[str, Any]], FieldChange],
    *,
    at: Sequence[str | int] = (),
) -> DocumentChange:
    """The change that a body asks for.

    Args:
        at: where in the request it stands.

    Raises:
        InvalidInput: a key that is not the user's to change, or a value that it cannot have.
    """
    for name, value in given.items():
        _check(name, value, [*at, name], dotted=change_of is assigning)
    system = {name: value for name, value in given.items() if name in SystemFields.model_fields}
    validated(SystemFields, system, at=at)
    own = {name: value for name, value in given.items() if name not in system}
    return DocumentChange(
        change_of(own),
        lineage={name: value for name, value in system.items() if name in Lineage.model_fields},
        system={name: value for name, value in system.items() if name not in Lineage.model_fields},
    )


def _check(name: str, value: Any, at: Sequence[str | int], *, dotted: bool) -> None:
    first = name.split(".", maxsplit=1)[0] if dotted else name
    if first in _ELSEWHERE:
        raise InvalidInput.at(at, _ELSEWHERE[first])
    if "." in name and dotted:
        validate_path(name, at)
    if name in SystemFields.model_fields and value is None:
        raise InvalidInput.at(at, "cannot be null; leave it out to keep it")
    if name == "metadata" and not isinstance(value, dict | None):
        raise InvalidInput.at(at, "must be an object or null", value=value)


def _batch_answer(updated: int, failed: int, results: list[dict[str, Any]], message: str) -> dict[str, Any]:
    return {"updated_count": updated, "failed_count": failed, "results": results, "message": message}


def _message(updated: int, refused: Mapping[str, InvalidInput]) -> str:
    done = f"{updated} documents updated"
    if not refused:
        return done
    document_id, error = next(iter(refused.items()))
    return f"{done}, {len(refused)} not: {document_id}: {error.message}"


def _unknown(document_id: str, where: str) -> NotFound:
    return NotFound(f"no document has the id {document_id!r} in {where}")
