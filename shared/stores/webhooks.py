"""Webhooks and their deliveries in Redis, for the API. Every method is one atomic round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.clock import iso, now_ms
from shared.errors import Conflict
from shared.models.channel import Channels
from shared.models.delivery import Attempt, Lane
from shared.models.webhook import WEBHOOKS_MAX, Webhook
from shared.redis_link import RedisLink
from shared.redis_sync import Argument, text
from shared.stores.reads import reading

Fields = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    version: int
    webhook: Webhook
    health: Fields  # of the present run of failures; empty when the last delivery went well


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery with the fields of its record, and how each try went."""

    delivery_id: str
    fields: Fields
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    total: int
    offset: int
    deliveries: Sequence[StoredDelivery]


class WebhookStore:
    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def put(self, webhook: Webhook, channels: Channels, *, version: int) -> bool:
        """Store the version behind `version` (0 = a new one); False when somebody else was faster.

        Raises:
            Conflict: there are as many as there may be.
        """
        word = text(await self._redis.fcall("put_webhook", *put_arguments(webhook, channels, version)))
        if word == "full":
            raise Conflict(
                f"there are {WEBHOOKS_MAX} webhooks, the most one organisation can have; delete one first",
                code="webhook_limit",
            )
        return word == "stored"

    async def find(self, webhook_id: str) -> StoredWebhook | None:
        with reading():
            reply = await self._redis.fcall("read_webhook", webhook_id)
        return None if reply is None else _stored(*reply)

    async def list_all(self) -> list[StoredWebhook]:
        """Newest first; at most WEBHOOKS_MAX."""
        with reading():
            return [_stored(*each) for each in await self._redis.fcall("list_webhooks")]

    async def delete(self, webhook_id: str, channels: int) -> None:
        """Repeatable; `channels` is how many it has."""
        await self._redis.fcall("delete_webhook", webhook_id, channels)

    async def forget_failures(self, webhook_id: str) -> None:
        await self._redis.fcall("forget_failures", webhook_id)


class DeliveryLog:
    """The deliveries of any owner of channels."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def deliver(
        self, event_id: str, event_type: str, payload: bytes, owner_id: str, channels: Channels
    ) -> list[str]:
        """Send an event to all channels of an owner; the ids of the deliveries, in their order."""
        lanes = [part for lane in lanes_of(owner_id, channels) for part in lane]
        reply = await self._redis.fcall("deliver", event_id, event_type, payload, *lanes)
        return [text(each) for each in reply]

    async def page(
        self, owner_id: str, status: str | None, offset: int, limit: int, *, behind: str | None
    ) -> DeliveryPage:
        """Newest first, from `offset` on, or behind the delivery that ended the page before."""
        with reading():
            reply = await self._redis.fcall(
                "list_deliveries", owner_id, status or "", offset, limit, behind or ""
            )
        total, first, *found = reply
        return DeliveryPage(int(total), int(first), [_delivery(text(each[0]), *each[1:]) for each in found])

    async def find(self, owner_id: str, delivery_id: str) -> StoredDelivery | None:
        """None when there is none, or it is another owner's."""
        with reading():
            found = _delivery(delivery_id, *await self._redis.fcall("read_delivery", delivery_id))
        is_owned = found.fields.get("lane", "").startswith(f"{owner_id}/")
        return found if is_owned else None

    async def redeliver(self, owner_id: str, delivery_id: str) -> bool:
        """Send it once more, with all tries; False when there is no such delivery."""
        return text(await self._redis.fcall("redeliver", delivery_id, owner_id)) != "missing"


def put_arguments(webhook: Webhook, channels: Channels, version: int) -> list[Argument]:
    """What the function put_webhook takes."""
    created_ms = now_ms() if version == 0 else 0
    arguments: list[Argument] = [
        webhook.webhook_id,
        version,
        webhook.model_dump_json(),
        created_ms,
        WEBHOOKS_MAX,
    ]
    for event_type in webhook.wanted():
        for lane, timeout_ms in lanes_of(webhook.webhook_id, channels):
            arguments += [event_type, lane, timeout_ms]
    return arguments


def lanes_of(owner_id: str, channels: Channels) -> list[tuple[str, int]]:
    """(lane, timeout in ms) of each channel."""
    return [
        (str(Lane(owner_id, number)), round(channel.timeout_s * 1000))
        for number, channel in enumerate(channels)
    ]


def instant(fields: Fields, name: str) -> str | None:
    """A field in milliseconds as ISO 8601; None when it is not there."""
    return iso(int(fields[name])) if name in fields else None


def _stored(version: bytes, body: bytes, health: Sequence[bytes]) -> StoredWebhook:
    return StoredWebhook(int(version), Webhook.model_validate_json(body), _fields(health))


def _delivery(delivery_id: str, fields: Sequence[bytes], attempts: Sequence[bytes]) -> StoredDelivery:
    tries = [Attempt.model_validate(orjson.loads(each)) for each in attempts]
    return StoredDelivery(delivery_id, _fields(fields), tries)


def _fields(flat: Sequence[Any]) -> Fields:
    return {text(name): text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
