"""What was sent for a webhook, how each try went, and sending it again."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from api.auth import Principal
from api.cursors import Cursors
from api.paging import Page
from api.schemas.deliveries import Delivery, ListedStatus, WebhookTest
from api.services.webhooks.webhooks import WebhookService
from shared import ids
from shared.clock import utc_now_iso
from shared.errors import Conflict, NotFound
from shared.models.delivery import parse_lane
from shared.models.webhook import TEST_EVENT, Webhook
from shared.stores.webhooks import DeliveryLog, StoredDelivery, instant


@dataclass(frozen=True, slots=True)
class DeliveryListing:
    deliveries: list[Delivery]
    total: int
    next_cursor: str | None


class WebhookDeliveryService:
    def __init__(self, webhooks: WebhookService, log: DeliveryLog, cursors: Cursors) -> None:
        self._webhooks = webhooks
        self._log = log
        self._cursors = cursors

    async def page(
        self, caller: Principal, webhook_id: str, status: ListedStatus | None, page: Page
    ) -> DeliveryListing:
        """Newest first. Raises NotFound. BadRequest: a cursor of another list."""
        await self._webhooks.found(caller, webhook_id)
        query = ["deliveries", webhook_id, status]
        last_id, offset = (
            (None, page.offset) if page.cursor is None else await self._cursors.open(page.cursor, query)
        )
        found = await self._log.page(webhook_id, status, offset, page.limit, behind=last_id)
        end = found.offset + page.limit
        more = end < found.total and bool(found.deliveries)
        next_cursor = (
            await self._cursors.seal([found.deliveries[-1].delivery_id, end], query) if more else None
        )
        shown = [_answer(each) for each in found.deliveries if each.fields]  # others have just expired
        return DeliveryListing(shown, found.total, next_cursor)

    async def get(self, caller: Principal, webhook_id: str, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        await self._webhooks.found(caller, webhook_id)
        found = await self._log.find(webhook_id, delivery_id)
        if found is None:
            raise _not_found(webhook_id, delivery_id)
        return _answer(found)

    async def redeliver(self, caller: Principal, webhook_id: str, delivery_id: str) -> Delivery:
        """Send it once more, with the same event id; one that is on its way is left alone.

        Raises:
            NotFound. Conflict: the webhook is switched off.
        """
        _check_active((await self._webhooks.found(caller, webhook_id)).webhook)
        if not await self._log.redeliver(webhook_id, delivery_id):
            raise _not_found(webhook_id, delivery_id)
        return await self.get(caller, webhook_id, delivery_id)

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


def _not_found(webhook_id: str, delivery_id: str) -> NotFound:
    return NotFound(f"the webhook {webhook_id!r} has no delivery {delivery_id!r}; they are kept for 30 days")


def _answer(stored: StoredDelivery) -> Delivery:
    fields = stored.fields
    lane = parse_lane(fields["lane"])
    return Delivery(
        delivery_id=stored.delivery_id,
        webhook_id=lane.owner_id,
        channel=lane.channel,
        event_id=fields["event_id"],
        event_type=fields["event_type"],
        status=fields["status"],
        tries=int(fields["tries"]),
        created_at=instant(fields, "created_ms"),
        next_attempt_at=instant(fields, "next_ms") if fields["status"] == "pending" else None,
        payload=orjson.loads(fields["payload"]),
        attempts=list(stored.attempts),
    )
