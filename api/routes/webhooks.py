"""Webhooks of the organisation. Only a key with the permission admin, for all namespaces, may manage them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import AdminDep, ContextDep, PathId
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import PagingDep, page_of, pagination
from api.schemas.common import ErrorAnswer
from api.schemas.webhooks import (
    RotateBody,
    RotatedSecret,
    Webhook,
    WebhookCreate,
    WebhookList,
    WebhookListBody,
    WebhookUpdate,
)

router = APIRouter(prefix="/v1/organizations/webhooks", tags=["webhooks"], route_class=JsonRoute)


@router.post("", summary="Create a webhook", responses=answers(Webhook, 400, 403, 409, 422, 504))
async def create(context: ContextDep, caller: AdminDep, body: WebhookCreate) -> Response:
    """Its channels are told of each event that it wants, in every namespace, from now on."""
    return json_response(await context.webhook_service.create(caller, body))


@router.post("/list", summary="List webhooks", responses=answers(WebhookList, 400, 403, 422))
async def list_by_post(
    context: ContextDep,
    caller: AdminDep,
    paging: PagingDep,
    body: Annotated[WebhookListBody | None, Body()] = None,
) -> Response:
    """Newest first. There are few, so pages go by number or offset; a cursor is refused."""
    page = page_of(paging, body)
    found, total = await context.webhook_service.page(caller, body or WebhookListBody(), page)
    shown = pagination(page, next_cursor=None, total=total if page.include_total else None)
    return json_response(WebhookList(results=found, pagination=shown, total=total))


@router.get("/{webhook_id}", summary="Get a webhook", responses=answers(Webhook, 403, 404))
async def get(context: ContextDep, caller: AdminDep, webhook_id: PathId) -> Response:
    """With the health of its deliveries; a signing secret reads `redacted`."""
    return json_response(await context.webhook_service.get(caller, webhook_id))


@router.put(
    "/{webhook_id}", summary="Change a webhook", responses=answers(Webhook, 400, 403, 404, 409, 422, 504)
)
async def update(context: ContextDep, caller: AdminDep, webhook_id: PathId, body: WebhookUpdate) -> Response:
    """What is left out stays. Deliveries that wait go to the channels as they are when they are sent."""
    return json_response(await context.webhook_service.update(caller, webhook_id, body))


@router.delete(
    "/{webhook_id}",
    summary="Delete a webhook",
    status_code=204,
    responses={status: {"model": ErrorAnswer} for status in (403, 504)},
)
async def delete(context: ContextDep, caller: AdminDep, webhook_id: PathId) -> Response:
    """What waits to be sent is dropped. Deleting it again changes nothing."""
    await context.webhook_service.delete(caller, webhook_id)
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Give a webhook a new signing secret",
    responses=answers(RotatedSecret, 400, 403, 404, 409, 422, 504),
)
async def rotate_secret(
    context: ContextDep,
    caller: AdminDep,
    webhook_id: PathId,
    body: Annotated[RotateBody | None, Body()] = None,
) -> Response:
    """Until the grace period is over, deliveries are signed with the old and the new one."""
    return json_response(
        await context.webhook_service.rotate_secret(caller, webhook_id, body or RotateBody())
    )
