"""Alerts in Redis beyond what every resource has (stores/resources.py): neighbours, schedule, last fire."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from shared import ids
from shared.alerts.schedule import next_due_ms
from shared.clock import instant_ms, now_ms, utc_now_iso
from shared.models.alert import Alert, Attachment, Mode
from shared.models.webhook import CHANNELS_MAX
from shared.redis_link import Argument, RedisLink
from shared.redis_sync import text
from shared.stores.reads import reading


class AlertStore:
    """For the API. One round trip each."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def attached(self, alert_id: str) -> list[str]:
        """Ids of the collections that it is attached to, in no order."""
        with reading():
            flat = await self._redis.fcall("attached", alert_id)
        return [text(each) for each in flat[::2]]

    async def last_fired_ms(self, alert_ids: Sequence[str]) -> list[int | None]:
        """When each fired last (since the epoch); None: never."""
        if not alert_ids:
            return []
        with reading():
            found = await self._redis.fcall("alert_states", *alert_ids)
        return [int(each) if each else None for each in found]


def alert_links(alert: Alert, event_type: str) -> list[Argument]:
    """What create_alert and update_alert take behind the arguments of every kind."""
    schedule = alert.schedule if alert.enabled else None
    first_ms = next_due_ms(schedule, instant_ms(alert.created_at), now_ms()) if schedule else 0
    return [
        alert.retriever_id or "",
        schedule.model_dump_json() if schedule else "",
        first_ms,
        *_event(alert, event_type),
    ]


def deletion_links(alert: Alert) -> list[Argument]:
    """What delete_alert takes behind the arguments of every kind."""
    return [CHANNELS_MAX, alert.namespace_id, *_event(alert, "alert.deleted")]


def attachment_links(attachments: Sequence[Attachment]) -> list[Argument]:
    """What create_collection and update_collection take behind the arguments of every kind."""
    scheduled = {each.alert_id for each in attachments if each.execution_mode == Mode.SCHEDULED}
    unique = dict.fromkeys(each.alert_id for each in attachments)
    return [part for alert_id in unique for part in (alert_id, int(alert_id in scheduled))]


def _event(alert: Alert, event_type: str) -> list[Argument]:
    """Its id, type and payload."""
    event_id = ids.event_id()
    payload = {
        "event_id": event_id,
        "event_type": event_type,
        "timestamp": utc_now_iso(),
        "namespace_id": alert.namespace_id,
        "resource_type": "alert",
        "resource_id": alert.alert_id,
        "name": alert.name,
        "enabled": alert.enabled,
    }
    return [event_id, event_type, orjson.dumps(payload)]
