"""Deliveries as workers see them: take, settle, sweep. One round trip each, repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import redis

from shared import broker, ids
from shared.clock import utc_now_iso
from shared.models.channel import Channel, channels_from_json
from shared.models.delivery import Attempt, TakenDelivery, parse_lane
from shared.models.webhook import Webhook
from shared.redis_sync import fcall, text, through_outage
from shared.settings import Settings
from shared.stores.alert_reading import AlertReader
from shared.stores.webhooks import put_arguments
from shared.vault import Vault

Verdict = Literal["delivered", "pending", "failed"]

_PATIENCE_S = 30.0
_PAUSE_TRIES = 5


class DeliveryQueue:
    """One per process; safe to share between threads, which may be short-lived."""

    def __init__(self, client: redis.Redis, settings: Settings, vault: Vault) -> None:
        self._client = client
        self._settings = settings
        self._vault = vault
        self._alerts = AlertReader(client)

    def take(self) -> TakenDelivery | None:
        """What to send next; None when nothing is due. Raises RedisError when Redis is away."""
        reply = fcall(
            self._client, "take_delivery", self._settings.lease_ms, self._settings.delivery_attempts
        )
        if reply is None:
            return None
        delivery_id, epoch, lane, event_id, event_type, payload, tries, timeout_ms = reply
        return TakenDelivery(
            text(delivery_id),
            int(epoch),
            parse_lane(text(lane)),
            text(event_id),
            text(event_type),
            payload,
            int(tries),
            int(timeout_ms) / 1000,
        )

    def settle(
        self, taken: TakenDelivery, verdict: Verdict, attempt: Attempt, *, delay_s: float = 0, cause: str = ""
    ) -> bool:
        """Write how the try went; False when the lease was over and it is not ours any more.

        Args:
            delay_s: the pause until the next try, where the verdict is pending.
            cause: what was wrong with the receiver; it counts for the health of its owner.

        Raises:
            Unavailable: Redis was away for long; the delivery becomes due again with the end of its lease.
        """
        word = through_outage(
            lambda: fcall(
                self._client,
                "settle_delivery",
                taken.delivery_id,
                taken.epoch,
                verdict,
                attempt.model_dump_json(),
                round(delay_s * 1000),
                cause,
            ),
            patience_s=_PATIENCE_S,
        )
        return text(word) == "settled"

    def sweep(self) -> int:
        """Wake senders for what is due and nobody takes; how many messages that took."""
        return int(fcall(self._client, "sweep_deliveries", broker.deliver_template()))

    def channel(self, taken: TakenDelivery) -> Channel | None:
        """Where it goes as things are now; None when its owner or channel is gone or switched off.

        Raises:
            Unavailable: the key of the sealed channels is away. RedisError: Redis is.
        """
        sealed = self._sealed_channels(taken.lane.owner_id)
        if sealed is None:
            return None
        channels: Sequence[Channel] = channels_from_json(self._vault.unseal(sealed))
        return channels[taken.lane.channel] if taken.lane.channel < len(channels) else None

    def pause(self, webhook_id: str, reason: str) -> None:
        """Switch a webhook off. Raises RedisError when Redis is away."""
        for _ in range(_PAUSE_TRIES):  # somebody else may change it at the same time
            found = self._webhook(webhook_id)
            if found is None or not found[1].is_active:
                return
            version, webhook = found
            paused = webhook.paused(at=utc_now_iso(), reason=reason)
            if text(fcall(self._client, "put_webhook", *put_arguments(paused, (), version))) == "stored":
                return

    def _sealed_channels(self, owner_id: str) -> str | None:
        """None when the owner is gone, or a webhook that is switched off. What an alert told, it told."""
        if owner_id.startswith(ids.ALERT_PREFIX):
            alert = self._alerts.find([owner_id]).get(owner_id)
            return alert.sealed_channels if alert else None
        found = self._webhook(owner_id)
        return found[1].sealed_channels if found and found[1].is_active else None

    def _webhook(self, webhook_id: str) -> tuple[int, Webhook] | None:
        reply = fcall(self._client, "read_webhook", webhook_id)
        return None if reply is None else (int(reply[0]), Webhook.model_validate_json(reply[1]))
