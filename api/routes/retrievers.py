"""Retrievers: saved pipelines of stages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import ContextDep, DeleteAccess, ListAccess, PathName, ReadAccess, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, SearchQuery, page_of
from api.routes.lists import list_response
from api.schemas.common import ListBody
from api.schemas.retrievers import (
    Retriever,
    RetrieverChange,
    RetrieverChanged,
    RetrieverClone,
    RetrieverCloned,
    RetrieverCreate,
    RetrieverDeletion,
    RetrieverList,
)

router = APIRouter(prefix="/v1/retrievers", tags=["retrievers"], route_class=JsonRoute)


@router.post("", summary="Create a retriever", responses=answers(Retriever, 400, 403, 404, 409, 422, 504))
async def create(context: ContextDep, access: WriteAccess, body: RetrieverCreate) -> Response:
    """Stages are checked against the catalogue; every mistake is reported at once."""
    return json_response(await context.retriever_service.create(access.principal, access.namespace_id, body))


@router.post("/list", summary="List retrievers", responses=answers(RetrieverList, 400, 422))
async def list_by_post(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    body: Annotated[ListBody | None, Body()] = None,
) -> Response:
    """Newest first unless an order is given."""
    page = page_of(paging, body)
    found = await context.retriever_service.page(access.namespace_id, body or ListBody(), page)
    return list_response(access, page, found, total_field="total")


@router.get("", summary="List retrievers (GET)", responses=answers(RetrieverList, 400, 422))
async def list_by_get(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    search: SearchQuery = None,
) -> Response:
    """As the POST, with the search in the query."""
    return await list_by_post(context, access, paging, ListBody(search=search))


@router.get("/{retriever}", summary="Get a retriever", responses=answers(Retriever, 400, 404))
async def get(context: ContextDep, access: ReadAccess, retriever: PathName) -> Response:
    """In its current version."""
    return json_response(await context.retriever_service.get(access.namespace_id, retriever))


@router.patch(
    "/{retriever}",
    summary="Change a retriever",
    responses=answers(RetrieverChanged, 400, 403, 404, 409, 422, 504),
)
async def change(
    context: ContextDep, access: WriteAccess, retriever: PathName, body: RetrieverChange
) -> Response:
    """Makes the next version; executions keep the version they were submitted with."""
    service = context.retriever_service
    return json_response(await service.change(access.principal, access.namespace_id, retriever, body))


@router.post(
    "/{retriever}/clone",
    summary="Clone a retriever",
    responses=answers(RetrieverCloned, 400, 403, 404, 409, 422, 504),
)
async def clone(
    context: ContextDep, access: WriteAccess, retriever: PathName, body: RetrieverClone
) -> Response:
    """A new retriever with another name and whatever else the body says."""
    service = context.retriever_service
    return json_response(await service.clone(access.principal, access.namespace_id, retriever, body))


@router.delete(
    "/{retriever}",
    summary="Delete a retriever",
    responses=answers(RetrieverDeletion, 400, 403, 404, 409, 504),
)
async def delete(context: ContextDep, access: DeleteAccess, retriever: PathName) -> Response:
    """Executions that have not started are cancelled, running ones finish.

    While alerts run it, they are named in a 409.
    """
    retriever_id, cancelled = await context.retriever_service.delete(access.namespace_id, retriever)
    message = f"retriever {retriever!r} is deleted"
    return json_response(
        RetrieverDeletion(message=message, retriever_id=retriever_id, cancelled_executions=cancelled)
    )
