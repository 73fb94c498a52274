"""Namespaces: the scopes of everything else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import ContextDep, DeleterDep, PathName, ReaderDep, WriterDep
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, SearchQuery, page_of, pagination
from api.schemas.common import ListBody
from api.schemas.namespaces import (
    Namespace,
    NamespaceChange,
    NamespaceCreate,
    NamespaceDeletion,
    NamespaceIds,
    NamespaceList,
    NamespaceStats,
    NamespaceStatsBatch,
    StandaloneAnswer,
    StandaloneCreate,
)
from api.services.documents.answers import joined

router = APIRouter(prefix="/v1/namespaces", tags=["namespaces"], route_class=JsonRoute)


@router.post("", summary="Create a namespace", responses=answers(Namespace, 400, 403, 409, 422, 504))
async def create(context: ContextDep, caller: WriterDep, body: NamespaceCreate) -> Response:
    """Names are unique in the installation."""
    return json_response(await context.namespace_service.create(caller, body))


@router.post(
    "/standalone",
    summary="Create a namespace for vectors of one's own",
    responses=answers(StandaloneAnswer, 400, 403, 409, 422, 504),
)
async def create_standalone(context: ContextDep, caller: WriterDep, body: StandaloneCreate) -> Response:
    """Its id is the caller's to choose. Documents are upserted without naming a collection."""
    return json_response(await context.namespace_service.create_standalone(caller, body))


@router.post("/list", summary="List namespaces", responses=answers(NamespaceList, 400, 422))
async def list_by_post(
    context: ContextDep, caller: ReaderDep, paging: PagingDep, body: Annotated[ListBody | None, Body()] = None
) -> Response:
    """Newest first; only those that the key may use."""
    page = page_of(paging, body)
    found = await context.namespace_service.page(caller, body or ListBody(), page)
    total = found.total if page.include_total else None
    rest = {
        "pagination": pagination(page, next_cursor=found.next_cursor, total=total),
        "total_count": found.total,
        "stats": None,
    }
    return json_response(joined("results", found.bodies, rest))


@router.get("", summary="List namespaces (GET)", responses=answers(NamespaceList, 400, 422))
async def list_by_get(
    context: ContextDep,
    caller: ReaderDep,
    paging: PagingDep,
    search: SearchQuery = None,
) -> Response:
    """As the POST, with the search in the query."""
    return await list_by_post(context, caller, paging, ListBody(search=search))


@router.get("/{namespace}", summary="Get a namespace", responses=answers(Namespace, 404))
async def get(context: ContextDep, caller: ReaderDep, namespace: PathName) -> Response:
    """With the number of its collections and documents."""
    return json_response(await context.namespace_service.get(caller, namespace))


@router.get(
    "/{namespace}/stats", summary="Count what a namespace holds", responses=answers(NamespaceStats, 404)
)
async def stats(context: ContextDep, caller: ReaderDep, namespace: PathName) -> Response:
    """Exactly, now."""
    return json_response(await context.namespace_service.stats(caller, namespace))


@router.post(
    "/stats/batch", summary="Count what several namespaces hold", responses=answers(NamespaceStatsBatch, 422)
)
async def stats_batch(context: ContextDep, caller: ReaderDep, body: NamespaceIds) -> Response:
    """Those that do not exist, or that the key may not use, are left out."""
    found = await context.namespace_service.stats_of(caller, body.namespace_ids)
    return json_response(NamespaceStatsBatch(stats=found))


@router.patch(
    "/{namespace}",
    summary="Change a namespace",
    responses=answers(Namespace, 400, 403, 404, 409, 422, 504),
)
@router.put(
    "/{namespace}",
    summary="Change a namespace (PUT)",
    responses=answers(Namespace, 400, 403, 404, 409, 422, 504),
)
async def change(
    context: ContextDep, caller: WriterDep, namespace: PathName, body: NamespaceChange
) -> Response:
    """Its name, description or payload_indexes; what is left out stays, with PUT too."""
    return json_response(await context.namespace_service.change(caller, namespace, body))


@router.delete(
    "/{namespace}", summary="Delete a namespace", responses=answers(NamespaceDeletion, 403, 404, 504)
)
async def delete(context: ContextDep, caller: DeleterDep, namespace: PathName) -> Response:
    """Gone at once with all it holds; the contents are removed in the background."""
    task_id = await context.namespace_service.delete(caller, namespace)
    message = f"namespace {namespace!r} is deleted; its contents are being removed"
    return json_response(NamespaceDeletion(message=message, task_id=task_id))
