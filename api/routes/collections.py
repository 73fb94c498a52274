"""Collections of documents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from api.deps import ContextDep, DeleteAccess, ListAccess, PathName, ReadAccess, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, SearchQuery, page_of
from api.routes.lists import list_response
from api.schemas.collections import (
    Collection,
    CollectionChange,
    CollectionClone,
    CollectionCloned,
    CollectionCreate,
    CollectionFeatures,
    CollectionList,
    CollectionListBody,
)
from api.schemas.common import Deleted

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=JsonRoute)


@router.post("", summary="Create a collection", responses=answers(Collection, 400, 403, 404, 409, 422, 504))
async def create(context: ContextDep, access: WriteAccess, body: CollectionCreate) -> Response:
    """Names are unique in the namespace."""
    return json_response(await context.collection_service.create(access.namespace_id, body))


@router.post("/list", summary="List collections", responses=answers(CollectionList, 400, 422))
async def list_by_post(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    body: Annotated[CollectionListBody | None, Body()] = None,
) -> Response:
    """Newest first unless an order is given."""
    page = page_of(paging, body)
    found = await context.collection_service.page(access.namespace_id, body or CollectionListBody(), page)
    return list_response(access, page, found, total_field="total_count")


@router.get("", summary="List collections (GET)", responses=answers(CollectionList, 400, 422))
async def list_by_get(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    search: SearchQuery = None,
    include_system: Annotated[bool, Query(description="List hidden ones, too.")] = False,
) -> Response:
    """As the POST, with the search in the query."""
    body = CollectionListBody(search=search, include_system=include_system)
    return await list_by_post(context, access, paging, body)


@router.get("/{collection}", summary="Get a collection", responses=answers(Collection, 400, 404))
async def get(context: ContextDep, access: ReadAccess, collection: PathName) -> Response:
    """With the number of its documents."""
    return json_response(await context.collection_service.get(access.namespace_id, collection))


@router.patch(
    "/{collection}",
    summary="Change a collection",
    responses=answers(Collection, 400, 403, 404, 409, 422, 504),
)
async def change(
    context: ContextDep, access: WriteAccess, collection: PathName, body: CollectionChange
) -> Response:
    """Its name, description, metadata or `enabled`; not what is embedded: clone it for that."""
    return json_response(await context.collection_service.change(access.namespace_id, collection, body))


@router.post(
    "/{collection}/clone",
    summary="Clone a collection",
    responses=answers(CollectionCloned, 400, 403, 404, 409, 422, 504),
)
async def clone(
    context: ContextDep, access: WriteAccess, collection: PathName, body: CollectionClone
) -> Response:
    """A new, empty collection with another name and whatever else the body says."""
    return json_response(await context.collection_service.clone(access.namespace_id, collection, body))


@router.get(
    "/{collection}/features",
    summary="List what can be searched",
    responses=answers(CollectionFeatures, 400, 404),
)
async def features(context: ContextDep, access: ReadAccess, collection: PathName) -> Response:
    """The vectors of its documents; keywords can always be searched."""
    return json_response(await context.collection_service.features(access.namespace_id, collection))


@router.delete("/{collection}", summary="Delete a collection", responses=answers(Deleted, 400, 403, 404, 504))
async def delete(context: ContextDep, access: DeleteAccess, collection: PathName) -> Response:
    """With its documents. Retrievers that search it answer 404 from then on."""
    await context.collection_service.delete(access.namespace_id, collection)
    return json_response(Deleted(message=f"collection {collection!r} and its documents are deleted"))
