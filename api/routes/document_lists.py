"""Lists of documents, by collection and by namespace."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response

from api.deps import ContextDep, PathName, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, page_of
from api.schemas.document_lists import (
    DocumentList,
    DocumentListBody,
    ListBatchAnswer,
    ListBatchBody,
    ListQuery,
    NamespaceListBody,
)
from api.services.documents.list_query import with_query
from api.services.documents.lists import DEFAULT_LIMIT

router = APIRouter(prefix="/v1", tags=["documents"], route_class=JsonRoute)

Query = Annotated[ListQuery, Depends()]


@router.post(
    "/documents/list",
    summary="List documents of several collections",
    responses=answers(DocumentList, 400, 404, 422),
)
async def list_across(
    context: ContextDep,
    access: ReadAccess,
    paging: PagingDep,
    body: Annotated[NamespaceListBody | None, Body()] = None,
) -> Response:
    """In one order. Collections that do not exist are named; if none of those named does, it is a 404."""
    body = body or NamespaceListBody()
    page = page_of(paging, body, default_limit=DEFAULT_LIMIT)
    return json_response(await context.document_lists.page_across(access.namespace_id, body, page))


@router.post(
    "/documents/list/batch",
    summary="List documents by several questions",
    responses=answers(ListBatchAnswer, 400, 422),
)
async def list_batch(context: ContextDep, access: ReadAccess, body: ListBatchBody) -> Response:
    """Answers in the order of the questions; one that is refused does not fail the others."""
    return json_response(await context.document_lists.batch(access.namespace_id, body))


@router.post(
    "/collections/{collection}/documents/list",
    summary="List documents",
    responses=answers(DocumentList, 400, 404, 422),
)
async def list_by_post(
    context: ContextDep,
    access: ReadAccess,
    collection: PathName,
    paging: PagingDep,
    query: Query,
    body: Annotated[DocumentListBody | None, Body()] = None,
) -> Response:
    """By document_id unless an order is given. Following `next_cursor` neither repeats nor loses any."""
    wanted = with_query(body, query)
    page = page_of(paging, wanted, default_limit=DEFAULT_LIMIT)
    return json_response(await context.document_lists.page(access.namespace_id, collection, wanted, page))


@router.get(
    "/collections/{collection}/documents",
    summary="List documents (GET)",
    responses=answers(DocumentList, 400, 404, 422),
)
async def list_by_get(
    context: ContextDep, access: ReadAccess, collection: PathName, paging: PagingDep, query: Query
) -> Response:
    """As the POST, with everything in the query."""
    return await list_by_post(context, access, collection, paging, query)
