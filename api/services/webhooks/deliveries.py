"""What was sent for a webhook, how each try went, and sending it again."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from api.auth import Principal
from api.paging import Page
from api.schemas.deliveries import Delivery, ListedStatus, WebhookTest
from api.services.webhooks.owned_deliveries import OwnedDeliveries, shown_delivery
from api.services.webhooks.webhooks import WebhookService
from shared import ids
from shared.clock import utc_now_iso
from shared.errors import Conflict
from shared.models.webhook import TEST_EVENT, Webhook
from shared.stores.webhooks import DeliveryLog, StoredDelivery


@dataclass(frozen=True, slots=True)
class DeliveryListing:
    deliveries: list[Delivery]
    total: int
    next_cursor: str | None


class WebhookDeliveryService:
    def __init__(self, webhooks: WebhookService, log: DeliveryLog, deliveries: OwnedDeliveries) -> None:
        self._webhooks = webhooks
        self._log = log
        self._deliveries = deliveries

    async def page(
        self, caller: Principal, webhook_id: str, status: ListedStatus | None, page: Page
    ) -> DeliveryListing:
        """Newest first. Raises NotFound. BadRequest: a cursor of another list."""
        await self._webhooks.found(caller, webhook_id)
        found = await self._deliveries.page(webhook_id, status, page)
        shown = [_answer(webhook_id, each) for each in found.deliveries]
        return DeliveryListing(shown, found.total, found.next_cursor)

    async def get(self, caller: Principal, webhook_id: str, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        await self._webhooks.found(caller, webhook_id)
        return _answer(webhook_id, await self._deliveries.get(webhook_id, delivery_id))

    async def redeliver(self, caller: Principal, webhook_id: str, delivery_id: str) -> Delivery:
        """Send it once more, with the same event id; one that is on its way is left alone.

        Raises:
            NotFound. Conflict: the webhook is switched off.
        """
        _check_active((await self._webhooks.found(caller, webhook_id)).webhook)
        return _answer(webhook_id, await self._deliveries.redeliver(webhook_id, delivery_id))

    async def test(self, caller: Principal, webhook_id: str) -> WebhookTest:
        """Send an event to each channel, whatever the webhook wants to be told of.

        Raises:
            NotFound. Conflict: the webhook is switched off.
        """
        webhook = (await self._webhooks.found(caller, webhook_id)).webhook
        _check_active(webhook)
        event_id = ids.event_id()
        payload = {
            "event_id": event_id,
            "event_type": TEST_EVENT,
            "timestamp": utc_now_iso(),
            "namespace_id": None,
            "resource_type": "webhook",
            "resource_id": webhook_id,
        }
        channels = await self._webhooks.opened(webhook)
        made = await self._log.deliver(event_id, TEST_EVENT, orjson.dumps(payload), webhook_id, channels)
        return WebhookTest(event_id=event_id, delivery_ids=made)


def _check_active(webhook: Webhook) -> None:
    if not webhook.is_active:
        raise Conflict(
            f"the webhook {webhook.webhook_id!r} is switched off; update it with is_active true first",
            code="webhook_inactive",
        )


def _answer(webhook_id: str, stored: StoredDelivery) -> Delivery:
    return Delivery(webhook_id=webhook_id, **shown_delivery(stored))
