"""Alerts: retrievers that run by themselves and tell what they find."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import ContextDep, DeleteAccess, ListAccess, PathName, ReadAccess, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, SearchQuery, page_of
from api.routes.lists import list_response
from api.schemas.alerts import Alert, AlertChange, AlertCreate, AlertList
from api.schemas.common import Deleted, ListBody

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=JsonRoute)


@router.post("", summary="Create an alert", responses=answers(Alert, 400, 403, 404, 409, 422, 504))
async def create(context: ContextDep, access: WriteAccess, body: AlertCreate) -> Response:
    """It runs on its schedule, when it is executed, and where collections name it in `alert_applications`.

    Its inputs are checked against the retriever's input_schema now, not when it first runs.
    """
    return json_response(await context.alert_service.create(access.namespace_id, body))


@router.post("/list", summary="List alerts", responses=answers(AlertList, 400, 422))
async def list_by_post(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    body: Annotated[ListBody | None, Body()] = None,
) -> Response:
    """Newest first unless an order is given."""
    page = page_of(paging, body)
    found = await context.alert_service.page(access.namespace_id, body or ListBody(), page)
    return list_response(access, page, found, total_field="total_count")


@router.get("", summary="List alerts (GET)", responses=answers(AlertList, 400, 422))
async def list_by_get(
    context: ContextDep,
    access: ListAccess,
    paging: PagingDep,
    search: SearchQuery = None,
) -> Response:
    """As the POST, with the search in the query."""
    return await list_by_post(context, access, paging, ListBody(search=search))


@router.get("/{alert}", summary="Get an alert", responses=answers(Alert, 400, 404))
async def get(context: ContextDep, access: ReadAccess, alert: PathName) -> Response:
    """With the collections that it is attached to, and when it fired last."""
    return json_response(await context.alert_service.get(access.namespace_id, alert))


@router.patch("/{alert}", summary="Change an alert", responses=answers(Alert, 400, 403, 404, 409, 422, 504))
async def change(context: ContextDep, access: WriteAccess, alert: PathName, body: AlertChange) -> Response:
    """`{"enabled": false}` switches it off and true on again; what runs already runs as it was."""
    return json_response(await context.alert_service.change(access.namespace_id, alert, body))


@router.delete("/{alert}", summary="Delete an alert", responses=answers(Deleted, 400, 403, 404, 409, 504))
async def delete(context: ContextDep, access: DeleteAccess, alert: PathName) -> Response:
    """With its executions and deliveries. While it is attached to collections, they are named in a 409."""
    deleted = await context.alert_service.delete(access.namespace_id, alert)
    return json_response(Deleted(message=f"alert {deleted.name!r} is deleted"))
