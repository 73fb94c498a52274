"""Webhooks of the organisation: made, read, changed, deleted, their secrets rotated.

They are told of events in every namespace, so a key that is limited to namespaces cannot manage them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from api.auth import Principal
from api.paging import Page
from api.schemas.webhooks import (
    DeliveryHealth,
    RotateBody,
    RotatedSecret,
    WebhookCreate,
    WebhookListBody,
    WebhookUpdate,
)
from api.schemas.webhooks import Webhook as WebhookAnswer
from api.services.webhooks.channels import ChannelReader, shown
from api.services.webhooks.sealing import ChannelVault
from shared import ids
from shared.clock import iso, now_ms, utc_now_iso
from shared.deliveries.signatures import new_secret
from shared.errors import BadRequest, Conflict, Forbidden, InvalidInput, NotFound
from shared.models.channel import (
    Channel,
    Channels,
    RetiringSecret,
    WebhookChannel,
)
from shared.models.webhook import CHANNELS_MAX, Webhook
from shared.stores.webhooks import Fields, StoredWebhook, WebhookStore, instant

_TRIES = 10
_RETIRING_MAX = 4

# The fields of a webhook that change, and its channels as they are then.
Edit = Callable[[Channels], tuple[dict[str, Any], Channels]]


class WebhookService:
    def __init__(self, store: WebhookStore, vault: ChannelVault, channels: ChannelReader) -> None:
        self._store = store
        self._vault = vault
        self._channels = channels

    async def create(self, caller: Principal, request: WebhookCreate) -> WebhookAnswer:
        """The new webhook.

        Raises:
            Forbidden: the key is limited to namespaces. InvalidInput: a channel that cannot be used.
            Conflict: there are too many.
        """
        _check_reach(caller)
        channels = self._channels.read(request.channels)
        now = utc_now_iso()
        webhook = Webhook(
            webhook_id=ids.webhook_id(),
            webhook_name=request.webhook_name,
            event_types=tuple(dict.fromkeys(request.event_types)),
            resource_types=tuple(request.resource_types) if request.resource_types else None,
            sealed_channels=await self._vault.sealed(channels),
            is_active=request.is_active,
            created_at=now,
            updated_at=now,
        )
        await self._store.put(webhook, channels, version=0)
        return _answer(webhook, channels, {}, request.all_warnings())

    async def get(self, caller: Principal, webhook_id: str) -> WebhookAnswer:
        """Raises NotFound."""
        found = await self.found(caller, webhook_id)
        return _answer(found.webhook, await self.opened(found.webhook), found.health)

    async def page(
        self, caller: Principal, request: WebhookListBody, page: Page
    ) -> tuple[list[WebhookAnswer], int]:
        """The page and how many match, newest first. Raises BadRequest for a cursor: there are none here."""
        _check_reach(caller)
        if page.cursor is not None:
            raise BadRequest("this list has no cursors; use limit and offset", code="bad_cursor")
        found = [each for each in await self._store.list_all() if _matches(each.webhook, request)]
        asked = found[page.offset : page.offset + page.limit]
        answers = [_answer(each.webhook, await self.opened(each.webhook), each.health) for each in asked]
        return answers, len(found)

    async def update(self, caller: Principal, webhook_id: str, request: WebhookUpdate) -> WebhookAnswer:
        """The webhook as it is now; what is sent from here on goes where it says.

        Raises:
            NotFound, and as `create`.
        """
        given = request.model_dump(
            include={"webhook_name", "event_types", "resource_types", "is_active"}, exclude_none=True
        )
        if request.is_active:
            given |= {"paused_at": None, "paused_reason": None}

        def edit(kept: Channels) -> tuple[dict[str, Any], Channels]:
            return given, kept if request.channels is None else self._channels.read(request.channels, kept)

        webhook, channels = await self._changed(caller, webhook_id, edit)
        await self._store.forget_failures(webhook_id)
        return _answer(webhook, channels, {}, request.all_warnings())

    async def rotate_secret(self, caller: Principal, webhook_id: str, request: RotateBody) -> RotatedSecret:
        """Give all its webhook channels one new secret; the old ones sign beside it until the grace is over.

        Raises:
            NotFound. InvalidInput: none of its channels is a webhook, which alone are signed.
        """
        secret = request.signing_secret or new_secret()
        until_ms = now_ms() + request.grace_period_s * 1000
        had_secret = False

        def edit(kept: Channels) -> tuple[dict[str, Any], Channels]:
            nonlocal had_secret
            had_secret = any(isinstance(each, WebhookChannel) and each.signing_secret for each in kept)
            if not any(isinstance(each, WebhookChannel) for each in kept):
                raise InvalidInput("none of its channels is a webhook, and others are not signed")
            return {}, tuple(_rotated(each, secret, until_ms) for each in kept)

        await self._changed(caller, webhook_id, edit)
        return RotatedSecret(
            webhook_id=webhook_id,
            signing_secret=secret,
            previous_expires_at=iso(until_ms) if had_secret else None,
            warnings=request.warnings(),
        )

    async def delete(self, caller: Principal, webhook_id: str) -> None:
        """Repeatable. What waits to be sent is dropped."""
        _check_reach(caller)
        await self._store.delete(webhook_id, CHANNELS_MAX)

    async def found(self, caller: Principal, webhook_id: str) -> StoredWebhook:
        """Raises NotFound, and Forbidden for a key that is limited to namespaces."""
        _check_reach(caller)
        found = await self._store.find(webhook_id)
        if found is None:
            raise NotFound(f"there is no webhook {webhook_id!r}; list them to see what there is")
        return found

    async def opened(self, webhook: Webhook) -> Channels:
        """Its channels. Raises Unavailable when the key file does not open them."""
        [channels] = await self._vault.opened(webhook.sealed_channels)
        return channels

    async def _changed(self, caller: Principal, webhook_id: str, edit: Edit) -> tuple[Webhook, Channels]:
        """Apply an edit to whichever version is current."""
        for _ in range(_TRIES):
            found = await self.found(caller, webhook_id)
            fields, channels = edit(await self.opened(found.webhook))
            fields |= {"sealed_channels": await self._vault.sealed(channels), "updated_at": utc_now_iso()}
            webhook = Webhook.model_validate(found.webhook.model_dump() | fields)
            if await self._store.put(webhook, channels, version=found.version):
                return webhook, channels
        raise Conflict(f"webhook {webhook_id!r} is being changed by others all the time; try again")


def _check_reach(caller: Principal) -> None:
    if caller.namespaces is not None:
        raise Forbidden(
            f"the key {caller.name!r} is limited to its namespaces, and webhooks are told of all of them"
        )


def _matches(webhook: Webhook, request: WebhookListBody) -> bool:
    return (request.event_type is None or request.event_type in webhook.event_types) and (
        request.is_active is None or request.is_active == webhook.is_active
    )


def _rotated(channel: Channel, secret: str, until_ms: int) -> Channel:
    if not isinstance(channel, WebhookChannel) or channel.signing_secret == secret:
        return channel
    now = now_ms()
    retiring = [each for each in channel.retiring if each.until_ms > now and each.secret != secret]
    if channel.signing_secret:
        retiring.insert(0, RetiringSecret(secret=channel.signing_secret, until_ms=until_ms))
    update = {"signing_secret": secret, "retiring": tuple(retiring[:_RETIRING_MAX])}
    return channel.model_copy(update=update)


def _answer(
    webhook: Webhook, channels: Channels, health: Fields, warnings: list[str] | None = None
) -> WebhookAnswer:
    return WebhookAnswer(
        **webhook.model_dump(exclude={"sealed_channels", "paused_at", "paused_reason"}),
        channels=[shown(each) for each in channels],
        delivery_health=_health(webhook, health),
        warnings=warnings or [],
    )


def _health(webhook: Webhook, health: Fields) -> DeliveryHealth | None:
    if not health and webhook.paused_at is None:
        return None
    return DeliveryHealth(
        consecutive_failures=int(health.get("consecutive_failures", "0")),
        first_failure_at=instant(health, "first_failure_ms"),
        last_failure_at=instant(health, "last_failure_ms"),
        last_failure_cause=health.get("last_failure_cause"),
        paused_at=webhook.paused_at,
        paused_reason=webhook.paused_reason,
    )
