"""Changes of stored documents, by collection and by namespace."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep, PathId, PathName, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.schemas.document_changes import (
    DocumentBatchUpdate,
    DocumentBatchUpdateAnswer,
    DocumentBulkUpdate,
    DocumentBulkUpdateAnswer,
    NewFields,
)
from api.schemas.documents import Document

router = APIRouter(prefix="/v1", tags=["documents"], route_class=JsonRoute)


@router.post(
    "/collections/{collection}/documents/batch",
    summary="Change documents by ids or filters",
    responses=answers(DocumentBatchUpdateAnswer, 400, 403, 404, 422, 504),
)
async def change_batch(
    context: ContextDep, access: WriteAccess, collection: PathName, body: DocumentBatchUpdate
) -> Response:
    """By ids each one is reported; by filters they are only counted."""
    changes = context.document_changes
    return json_response(await changes.change_batch(access.namespace_id, collection, body))


@router.patch(
    "/collections/{collection}/documents/bulk",
    summary="Change all documents, or those that pass filters",
    responses=answers(DocumentBulkUpdateAnswer, 400, 403, 404, 422, 504),
)
async def change_all(
    context: ContextDep, access: WriteAccess, collection: PathName, body: DocumentBulkUpdate
) -> Response:
    """Done when this is answered. In batches: others may write in between."""
    changes = context.document_changes
    return json_response(await changes.change_all(access.namespace_id, collection, body))


@router.patch(
    "/collections/{collection}/documents/{document_id}",
    summary="Change a document",
    responses=answers(Document, 400, 403, 404, 422, 504),
)
@router.put(
    "/collections/{collection}/documents/{document_id}",
    summary="Change a document (PUT)",
    responses=answers(Document, 400, 403, 404, 422, 504),
)
async def change(
    context: ContextDep, access: WriteAccess, collection: PathName, document_id: PathId, body: NewFields
) -> Response:
    """What is left out stays, with PUT too; a changed text is embedded anew, vectors of your own stay."""
    changes = context.document_changes
    return json_response(await changes.change(access.namespace_id, collection, document_id, body))


@router.patch(
    "/documents/{document_id}",
    summary="Change a document without naming its collection",
    responses=answers(Document, 400, 403, 404, 422, 504),
)
@router.put(
    "/documents/{document_id}",
    summary="Change a document without naming its collection (PUT)",
    responses=answers(Document, 400, 403, 404, 422, 504),
)
async def change_anywhere(
    context: ContextDep, access: WriteAccess, document_id: PathId, body: NewFields
) -> Response:
    """If several collections hold the id, the newest collection wins."""
    changes = context.document_changes
    return json_response(await changes.change_anywhere(access.namespace_id, document_id, body))
