"""What was sent for a webhook, and sending it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.deps import AdminDep, ContextDep, PathId
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of, pagination
from api.schemas.deliveries import Delivery, DeliveryList, ListedStatus, WebhookTest

router = APIRouter(prefix="/v1/organizations/webhooks/{webhook_id}", tags=["webhooks"], route_class=JsonRoute)


@router.post("/test", summary="Send a test event", responses=answers(WebhookTest, 403, 404, 409, 504))
async def send_test(context: ContextDep, caller: AdminDep, webhook_id: PathId) -> Response:
    """Its deliveries say how it went."""
    return json_response(await context.webhook_deliveries.test(caller, webhook_id))


@router.get(
    "/deliveries",
    summary="List what was sent for a webhook",
    responses=answers(DeliveryList, 400, 403, 404, 422, headers=LINK_HEADER),
)
async def list_deliveries(
    context: ContextDep,
    caller: AdminDep,
    webhook_id: PathId,
    paging: PagingDep,
    status: Annotated[ListedStatus | None, Query(description="Only those with this status.")] = None,
) -> Response:
    """Newest first, with each try; at most 10,000, for 30 days."""
    page = page_of(paging)
    found = await context.webhook_deliveries.page(caller, webhook_id, status, page)
    shown = pagination(page, next_cursor=found.next_cursor, total=found.total if page.include_total else None)
    answer = DeliveryList(results=found.deliveries, pagination=shown, total=found.total)
    return json_response(answer, headers=next_link(found.next_cursor, page))


@router.get("/deliveries/{delivery_id}", summary="Get a delivery", responses=answers(Delivery, 403, 404))
async def get_delivery(
    context: ContextDep, caller: AdminDep, webhook_id: PathId, delivery_id: PathId
) -> Response:
    """One event on its way to one channel, with each try."""
    return json_response(await context.webhook_deliveries.get(caller, webhook_id, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    summary="Send a delivery again",
    responses=answers(Delivery, 403, 404, 409, 504),
)
async def redeliver(
    context: ContextDep, caller: AdminDep, webhook_id: PathId, delivery_id: PathId
) -> Response:
    """At once, with the same event id and all tries; one that is being sent is left alone."""
    return json_response(await context.webhook_deliveries.redeliver(caller, webhook_id, delivery_id))
