"""What was sent for an alert, and sending it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.deps import ContextDep, PathId, PathName, ReadAccess, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of, pagination
from api.schemas.deliveries import AlertDelivery, AlertDeliveryList, ListedStatus
from api.services.webhooks.owned_deliveries import shown_delivery
from shared.stores.webhooks import StoredDelivery

router = APIRouter(prefix="/v1/alerts/{alert}/deliveries", tags=["alerts"], route_class=JsonRoute)


@router.get(
    "",
    summary="List what was sent for an alert",
    responses=answers(AlertDeliveryList, 400, 404, 422, headers=LINK_HEADER),
)
async def list_deliveries(
    context: ContextDep,
    access: ReadAccess,
    alert: PathName,
    paging: PagingDep,
    status: Annotated[ListedStatus | None, Query(description="Only those with this status.")] = None,
) -> Response:
    """Newest first, with each try; at most 10,000, for 30 days."""
    page = page_of(paging)
    owner_id = (await context.alert_service.find(access.namespace_id, alert)).alert_id
    found = await context.deliveries.page(owner_id, status, page)
    shown = pagination(page, next_cursor=found.next_cursor, total=found.total if page.include_total else None)
    results = [_answer(owner_id, each) for each in found.deliveries]
    answer = AlertDeliveryList.model_validate({"results": results, "pagination": shown, "total": found.total})
    return json_response(answer, headers=next_link(found.next_cursor, page))


@router.get(
    "/{delivery_id}", summary="Get a delivery of an alert", responses=answers(AlertDelivery, 400, 404)
)
async def get_delivery(
    context: ContextDep, access: ReadAccess, alert: PathName, delivery_id: PathId
) -> Response:
    """One fire on its way to one channel, with each try."""
    owner_id = (await context.alert_service.find(access.namespace_id, alert)).alert_id
    return json_response(_answer(owner_id, await context.deliveries.get(owner_id, delivery_id)))


@router.post(
    "/{delivery_id}/redeliver",
    summary="Send a delivery of an alert again",
    responses=answers(AlertDelivery, 400, 403, 404, 504),
)
async def redeliver(
    context: ContextDep, access: WriteAccess, alert: PathName, delivery_id: PathId
) -> Response:
    """At once, with the same event id and all tries; one that is being sent is left alone."""
    owner_id = (await context.alert_service.find(access.namespace_id, alert)).alert_id
    return json_response(_answer(owner_id, await context.deliveries.redeliver(owner_id, delivery_id)))


def _answer(owner_id: str, stored: StoredDelivery) -> AlertDelivery:
    return AlertDelivery(alert_id=owner_id, **shown_delivery(stored))
