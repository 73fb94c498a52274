"""Alerts: definitions, checked against the retriever that they run before anything is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import orjson

from api.cursors import Cursors
from api.directory import RetrieverDirectory
from api.paging import Page
from api.schemas import alerts as schemas
from api.schemas import webhooks as channel_schemas
from api.schemas.common import ListBody
from api.services.alerts import channels as alert_channels
from api.services.alerts.answers import alert_answer, listed
from api.services.alerts.attachments import attachments_to, check_at, retriever_of
from api.services.alerts.rules import check_alert, check_inputs, warnings_of
from api.services.resources.changes import changed
from api.services.resources.listing import Lister, Listing
from api.services.webhooks.channels import ChannelReader
from api.services.webhooks.sealing import ChannelVault
from shared import ids, keys
from shared.clock import utc_now_iso
from shared.models.alert import SYSTEM_INTERVAL_S, Alert, Schedule
from shared.models.channel import Channels
from shared.models.resource import Resource
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.alerts import AlertStore, alert_links, deletion_links
from shared.stores.resources import ResourceStore, cancel_pending

# What a change replaces as it is sent. Null takes away what need not have a value, and leaves the rest.
_CHANGEABLE = {
    "name", "description", "trigger_on", "min_count", "threshold", "inputs", "schedule", "cooldown_seconds",
    "renotify_interval_seconds", "system_condition", "enabled", "metadata",
}  # fmt: skip
_WITHOUT: Mapping[str, Any] = {
    "description": None, "min_count": 1, "threshold": None, "inputs": {}, "renotify_interval_seconds": None,
    "schedule": None, "metadata": None,
}  # fmt: skip

_DELETED_REASON = orjson.dumps("cancelled: its alert was deleted").decode()


class AlertService:
    def __init__(
        self,
        *,
        store: ResourceStore,
        alerts: AlertStore,
        collections: ResourceStore,
        retrievers: RetrieverDirectory,
        channels: ChannelReader,
        vault: ChannelVault,
        cursors: Cursors,
        redis: RedisLink,
        settings: Settings,
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._collections = collections
        self._retrievers = retrievers
        self._channels = channels
        self._vault = vault
        self._lister = Lister(store, cursors, listed)
        self._redis = redis
        self._settings = settings

    async def create(self, namespace_id: str, request: schemas.AlertCreate) -> schemas.Alert:
        """The new alert.

        Raises:
            InvalidInput: naming each part that does not fit, inputs that its retriever would refuse included.
            Conflict: the name is taken. NotFound: the namespace or the retriever was deleted meanwhile.
        """
        told = request.notification_config
        sent = alert_channels.as_sent(told.channels)
        channels = self._read(sent, ())
        now = utc_now_iso()
        fields = {
            **request.model_dump(include={*_CHANGEABLE, "source", "retriever_id"}, exclude_none=True),
            **await self._told(told, channels),
            "alert_id": ids.alert_id(),
            "namespace_id": namespace_id,
            "created_at": now,
            "updated_at": now,
        }
        alert = await self._checked(Alert.model_validate(fields))
        await self._store.create(
            namespace_id,
            alert.alert_id,
            alert.name,
            alert.model_dump_json().encode(),
            parent=keys.resource("namespace", namespace_id),
            links=alert_links(alert, "alert.created"),
        )
        return alert_answer(alert, channels, attached_to=[], warnings=_warnings(request, sent, alert))

    async def change(self, namespace_id: str, id_or_name: str, request: schemas.AlertChange) -> schemas.Alert:
        """The alert as it is now; what runs already runs as it was.

        Raises:
            NotFound: no such alert. As `create`; InvalidInput also names a collection that it is attached to
                in a way that would not go with it any more.
        """
        given, told = _changes(request), request.notification_config
        sent = alert_channels.as_sent(told.channels) if told else []

        async def change(found: Resource) -> tuple[dict[str, Any], None]:
            before = alert_of(found)
            fields = before.model_dump() | given
            if told:
                fields |= await self._told(told, self._read(sent, await self._opened(before)))
            alert = Alert.model_validate(fields)
            if _changes_runs(given):
                alert = await self._checked(alert)
                await self._check_attached(alert)
            else:
                check_alert(alert)
            return alert.model_dump(mode="json"), None

        _, body = await changed(
            self._store,
            namespace_id,
            id_or_name,
            change,
            links_of=lambda body: alert_links(Alert.model_validate(body), "alert.updated"),
        )
        alert = Alert.model_validate(body)
        return await self._answer(alert, _warnings(request, sent, alert))

    async def get(self, namespace_id: str, id_or_name: str) -> schemas.Alert:
        """Raises NotFound."""
        return await self._answer(await self.find(namespace_id, id_or_name))

    async def find(self, namespace_id: str, id_or_name: str) -> Alert:
        """As it is stored. Raises NotFound."""
        return alert_of(await self._store.get(namespace_id, id_or_name))

    async def ids(self, namespace_id: str) -> list[str]:
        """Every alert of the namespace, newest first."""
        return await self._store.ids(namespace_id)

    async def find_many(self, alert_ids: Collection[str]) -> dict[str, Alert]:
        """Those that exist, by id."""
        bodies = await self._store.bodies(sorted(alert_ids))
        found = [Alert.model_validate_json(body) for body in bodies]
        return {alert.alert_id: alert for alert in found}

    async def page(self, namespace_id: str, request: ListBody, page: Page) -> Listing:
        """Filters and sorts see the stored alert; of its channels only the types."""
        found = await self._lister.page(namespace_id, request, page)
        alerts = [Alert.model_validate_json(body) for body in found.bodies]
        channels = await self._vault.opened(*(each.sealed_channels for each in alerts))
        fired_ms = await self._alerts.last_fired_ms([each.alert_id for each in alerts])
        answers = [
            alert_answer(alert, told, fired_ms=fired)
            for alert, told, fired in zip(alerts, channels, fired_ms, strict=True)
        ]
        return replace(found, bodies=[orjson.dumps(each.model_dump()) for each in answers])

    async def delete(self, namespace_id: str, id_or_name: str) -> Alert:
        """Delete the alert with its deliveries, and cancel what has not started; what runs tells no one.

        Returns:
            What was deleted.

        Raises:
            NotFound: there is none. Conflict: it is attached to collections; the details name them.
        """
        alert = await self.find(namespace_id, id_or_name)
        await self._delete(alert)
        return alert

    async def delete_all(self, namespace_id: str) -> None:
        """Every alert of a namespace that is hidden already."""
        for body in await self._store.bodies(await self.ids(namespace_id)):
            await self._delete(Alert.model_validate_json(body), even_used=True)

    async def _delete(self, alert: Alert, *, even_used: bool = False) -> None:
        await self._store.delete(
            alert.namespace_id,
            alert.alert_id,
            alert.name,
            *deletion_links(alert),
            fading_s=self._settings.result_ttl_s,
            even_used=even_used,
        )
        await cancel_pending(
            self._redis,
            alert.alert_id,
            _DELETED_REASON,
            result_ttl_s=self._settings.result_ttl_s,
            summary_ttl_s=self._settings.summary_ttl_s,
            history_max=self._settings.history_max,
        )

    async def _checked(self, alert: Alert) -> Alert:
        """The alert with the id of its retriever in place of a name; a system alert with a schedule."""
        check_alert(alert)
        if alert.retriever_id is None:
            by_itself = alert.schedule or Schedule(interval_seconds=SYSTEM_INTERVAL_S)
            return alert.model_copy(update={"schedule": by_itself})
        retriever = await retriever_of(self._retrievers, alert)
        check_inputs(retriever, alert, complete=alert.schedule is not None)
        return alert.model_copy(update={"retriever_id": retriever.retriever_id})

    async def _check_attached(self, alert: Alert) -> None:
        for collection_id in await self._alerts.attached(alert.alert_id):
            found = await self._collections.find(alert.namespace_id, collection_id)
            for attachment in attachments_to(alert.alert_id, found.answer()) if found else ():
                await check_at(self._retrievers, alert, attachment, ("attached_to", collection_id))

    def _read(self, sent: list[channel_schemas.Channel], kept: Channels) -> Channels:
        return self._channels.read(sent, kept, at=alert_channels.PLACE, member="config")

    async def _told(self, told: schemas.NotificationConfig, channels: Channels) -> dict[str, Any]:
        """The fields of an alert that say whom it tells what."""
        return {
            "include_matches": told.include_matches,
            "include_scores": told.include_scores,
            "channel_types": [each.channel for each in channels],
            "sealed_channels": await self._vault.sealed(channels),
        }

    async def _opened(self, alert: Alert) -> Channels:
        [channels] = await self._vault.opened(alert.sealed_channels)
        return channels

    async def _answer(self, alert: Alert, warnings: list[str] | None = None) -> schemas.Alert:
        channels = await self._opened(alert)
        [fired_ms] = await self._alerts.last_fired_ms([alert.alert_id])
        attached = sorted(await self._alerts.attached(alert.alert_id))
        return alert_answer(alert, channels, fired_ms=fired_ms, attached_to=attached, warnings=warnings or ())


def alert_of(found: Resource) -> Alert:
    return Alert.model_validate_json(found.body)


def _changes(request: schemas.AlertChange) -> dict[str, Any]:
    given = request.model_dump(include={*_CHANGEABLE, "retriever_id"}, exclude_unset=True)
    return {
        name: _WITHOUT[name] if value is None else value
        for name, value in given.items()
        if value is not None or name in _WITHOUT
    }


def _changes_runs(given: Mapping[str, Any]) -> bool:
    """Whether it must be looked at with its retriever again: else it could not even be switched off."""
    return bool(given.keys() & {"retriever_id", "inputs", "schedule"} or given.get("enabled"))


def _warnings(
    request: schemas.AlertCreate | schemas.AlertChange, sent: list[channel_schemas.Channel], alert: Alert
) -> list[str]:
    return request.all_warnings() + alert_channels.unknown_keys(sent) + warnings_of(alert)
