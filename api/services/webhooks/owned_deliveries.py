"""What was sent for an owner of channels, whoever that is: lists, one by one, and sending again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.cursors import Cursors
from api.paging import Page
from api.schemas.deliveries import ListedStatus
from shared.errors import NotFound
from shared.models.delivery import parse_lane
from shared.stores.webhooks import DeliveryLog, StoredDelivery, instant


@dataclass(frozen=True, slots=True)
class StoredListing:
    deliveries: Sequence[StoredDelivery]
    total: int
    next_cursor: str | None


class OwnedDeliveries:
    """The caller has looked the owner up."""

    def __init__(self, log: DeliveryLog, cursors: Cursors) -> None:
        self._log = log
        self._cursors = cursors

    async def page(self, owner_id: str, status: ListedStatus | None, page: Page) -> StoredListing:
        """Newest first. Raises BadRequest: a cursor of another list."""
        query = ["deliveries", owner_id, status]
        last_id, offset = (
            (None, page.offset) if page.cursor is None else await self._cursors.open(page.cursor, query)
        )
        found = await self._log.page(owner_id, status, offset, page.limit, behind=last_id)
        end = found.offset + page.limit
        more = end < found.total and bool(found.deliveries)
        next_cursor = (
            await self._cursors.seal([found.deliveries[-1].delivery_id, end], query) if more else None
        )
        kept = [each for each in found.deliveries if each.fields]  # others have just expired
        return StoredListing(kept, found.total, next_cursor)

    async def get(self, owner_id: str, delivery_id: str) -> StoredDelivery:
        """Raises NotFound."""
        found = await self._log.find(owner_id, delivery_id)
        if found is None:
            raise _not_found(owner_id, delivery_id)
        return found

    async def redeliver(self, owner_id: str, delivery_id: str) -> StoredDelivery:
        """Send it once more, with the same event id; one on its way is left alone. Raises NotFound."""
        if not await self._log.redeliver(owner_id, delivery_id):
            raise _not_found(owner_id, delivery_id)
        return await self.get(owner_id, delivery_id)


def shown_delivery(stored: StoredDelivery) -> dict[str, Any]:
    """The members of an answer, without whose it is."""
    fields = stored.fields
    return {
        "delivery_id": stored.delivery_id,
        "channel": parse_lane(fields["lane"]).channel,
        "event_id": fields["event_id"],
        "event_type": fields["event_type"],
        "status": fields["status"],
        "tries": int(fields["tries"]),
        "created_at": instant(fields, "created_ms"),
        "next_attempt_at": instant(fields, "next_ms") if fields["status"] == "pending" else None,
        "payload": orjson.loads(fields["payload"]),
        "attempts": list(stored.attempts),
    }


def _not_found(owner_id: str, delivery_id: str) -> NotFound:
    return NotFound(f"{owner_id} has no delivery {delivery_id!r}; they are kept for 30 days")
