"""Alerts at collections: checked when they are attached, so that no run fails for a reason known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.directory import RetrieverDirectory
from api.schemas.alert_applications import AlertApplication
from api.services.alerts.rules import Loc, check_attachment
from shared.errors import InvalidInput, NotFound
from shared.models.alert import Alert, Attachment, Mode, all_attachments
from shared.models.resource import RetrieverRecord
from shared.stores.resources import ResourceStore

_PLACE = "alert_applications"


class Attachments:
    def __init__(self, alerts: ResourceStore, retrievers: RetrieverDirectory) -> None:
        self._alerts = alerts
        self._retrievers = retrievers

    async def checked(self, namespace_id: str, given: Sequence[AlertApplication]) -> list[dict[str, Any]]:
        """The applications as a collection's body keeps and shows them: names of alerts are ids now.

        Raises:
            InvalidInput: naming the application whose alert does not exist, is attached twice in one mode,
                or would not run with these mappings.
        """
        kept = [await self._kept(namespace_id, number, each) for number, each in enumerate(given)]
        seen: set[tuple[str, str]] = set()
        for number, each in enumerate(kept):
            key = (each["alert_id"], each["execution_mode"])
            if key in seen:
                raise InvalidInput.at(
                    (_PLACE, number, "alert_id"),
                    f"is attached as {key[1]} twice; attach it once",
                    value=key[0],
                )
            seen.add(key)
        return kept

    async def _kept(self, namespace_id: str, number: int, given: AlertApplication) -> dict[str, Any]:
        found = await self._alerts.find(namespace_id, given.alert_id)
        if found is None:
            raise InvalidInput.at(
                (_PLACE, number, "alert_id"), "is no alert's id or name here", value=given.alert_id
            )
        kept = {**_as_stored(given), "alert_id": found.resource_id}
        alert = Alert.model_validate_json(found.body)
        [attachment] = all_attachments({_PLACE: [kept]})
        await check_at(self._retrievers, alert, attachment, (_PLACE, number))
        return kept


async def check_at(retrievers: RetrieverDirectory, alert: Alert, attachment: Attachment, at: Loc) -> None:
    """
    Raises:
        InvalidInput: the alert cannot run as this attachment says.
    """
    if alert.retriever_id is None:
        raise InvalidInput.at(
            (*at, "alert_id"), "watches Kennel itself and runs on its schedule; it cannot be attached"
        )
    if attachment.execution_mode == Mode.SCHEDULED and alert.schedule is None:
        raise InvalidInput.at(
            (*at, "execution_mode"), "is scheduled, and the alert has no schedule; give it one"
        )
    retriever = await retriever_of(retrievers, alert)
    check_attachment(retriever, alert, attachment, (*at, "input_mappings"))


async def retriever_of(retrievers: RetrieverDirectory, alert: Alert) -> RetrieverRecord:
    """The present version of what an alert runs. Raises InvalidInput when there is none."""
    try:
        return await retrievers.resolve(alert.namespace_id, alert.retriever_id or "")
    except NotFound as error:
        raise InvalidInput.at(
            ("retriever_id",), "is no retriever's id or name here", value=alert.retriever_id
        ) from error


def attachments_to(alert_id: str, collection: Mapping[str, Any]) -> list[Attachment]:
    """Those of a collection's body that are about this alert."""
    return [each for each in all_attachments(collection) if each.alert_id == alert_id]


def _as_stored(given: AlertApplication) -> dict[str, Any]:
    return {
        "alert_id": given.alert_id,
        "execution_mode": str(given.execution_mode),
        "input_mappings": [
            {
                "input_key": each.input_key,
                "source": each.source.model_dump(include={"source_type", "path", "value"}),
            }
            for each in given.input_mappings
        ],
        "execution_phase": given.execution_phase,
        "priority": given.priority,
    }
