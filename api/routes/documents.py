"""Documents, by collection and by namespace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api.deps import (
    ContextDep,
    DeleteAccess,
    PathId,
    PathName,
    PathReadAccess,
    PathWriteAccess,
    ReadAccess,
    WriteAccess,
)
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.schemas.common import Deleted
from api.schemas.documents import (
    Document,
    DocumentBatch,
    DocumentBatchGet,
    DocumentCount,
    DocumentCreate,
    DocumentDeleteAnswer,
    DocumentDeleteBody,
    UpsertAnswer,
    UpsertBody,
    VectorsQuery,
)

router = APIRouter(prefix="/v1", tags=["documents"], route_class=JsonRoute)

Vectors = Annotated[VectorsQuery, Depends()]


@router.post(
    "/namespaces/{namespace}/documents/upsert",
    summary="Store a batch of documents",
    responses=answers(UpsertAnswer, 400, 403, 404, 409, 413, 422, 504),
)
async def upsert(context: ContextDep, access: PathWriteAccess, body: UpsertBody) -> Response:
    """All or none; durable and findable by filters and text once answered. Existing ids are replaced."""
    service = context.document_service
    return json_response(await service.upsert(access.principal.key_id, access.namespace_id, body))


@router.get(
    "/namespaces/{namespace}/documents/{document_id}",
    summary="Get a document of any collection of a namespace",
    responses=answers(Document, 404, 422),
)
async def get_in_namespace(
    context: ContextDep, access: PathReadAccess, document_id: PathId, vectors: Vectors
) -> Response:
    """If several collections hold the id, the newest collection wins."""
    service = context.document_service
    return json_response(
        await service.get_anywhere(access.namespace_id, document_id, vectors.choice(), vectors.expanded())
    )


@router.post(
    "/documents/batch-get",
    summary="Get many documents by id",
    responses=answers(DocumentBatch, 400, 404, 422),
)
async def get_many(context: ContextDep, access: ReadAccess, body: DocumentBatchGet) -> Response:
    """Of any collection, in the order asked."""
    service = context.document_service
    return json_response(await service.get_many(access.namespace_id, body.document_ids, body.vectors()))


@router.get(
    "/documents/{document_id}",
    summary="Get a document without naming its collection",
    responses=answers(Document, 400, 404, 422),
)
async def get_anywhere(
    context: ContextDep, access: ReadAccess, document_id: PathId, vectors: Vectors
) -> Response:
    """If several collections hold the id, the newest collection wins."""
    service = context.document_service
    return json_response(
        await service.get_anywhere(access.namespace_id, document_id, vectors.choice(), vectors.expanded())
    )


@router.post(
    "/collections/{collection}/documents",
    summary="Create a document",
    responses=answers(Document, 400, 403, 404, 413, 422, 504),
)
async def create(
    context: ContextDep, access: WriteAccess, collection: PathName, body: DocumentCreate
) -> Response:
    """Durable and findable by filters and text when this is answered."""
    return json_response(await context.document_service.create(access.namespace_id, collection, body))


@router.get(
    "/collections/{collection}/documents/count",
    summary="Count the documents of a collection",
    responses=answers(DocumentCount, 400, 404),
)
async def count(context: ContextDep, access: ReadAccess, collection: PathName) -> Response:
    """All of them, exactly."""
    return json_response(await context.document_service.count(access.namespace_id, collection))


@router.delete(
    "/collections/{collection}/documents/batch",
    summary="Delete documents by ids or filters",
    responses=answers(DocumentDeleteAnswer, 400, 403, 404, 422, 504),
)
async def delete_batch(
    context: ContextDep, access: DeleteAccess, collection: PathName, body: DocumentDeleteBody
) -> Response:
    """By ids each one is reported; by filters they are only counted."""
    return json_response(await context.document_service.delete_batch(access.namespace_id, collection, body))


@router.get(
    "/collections/{collection}/documents/{document_id}",
    summary="Get a document",
    responses=answers(Document, 400, 404, 422),
)
async def get(
    context: ContextDep, access: ReadAccess, collection: PathName, document_id: PathId, vectors: Vectors
) -> Response:
    """The stored document, with its vectors if asked for."""
    service = context.document_service
    body = await service.get(
        access.namespace_id, collection, document_id, vectors.choice(), vectors.expanded()
    )
    return json_response(body)


@router.delete(
    "/collections/{collection}/documents/{document_id}",
    summary="Delete a document",
    responses=answers(Deleted, 400, 403, 404, 504),
)
async def delete(
    context: ContextDep, access: DeleteAccess, collection: PathName, document_id: PathId
) -> Response:
    """Gone when this is answered."""
    await context.document_service.delete(access.namespace_id, collection, document_id)
    return json_response(Deleted(message=f"document {document_id!r} is deleted"))
