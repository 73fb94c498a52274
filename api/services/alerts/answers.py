"""An alert as answers show it, made of what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.schemas import alerts as schemas
from api.services.alerts.channels import shown_channel
from shared.clock import iso
from shared.models.alert import Alert
from shared.models.channel import Channels

_SEALED = {"sealed_channels", "channel_types", "include_matches", "include_scores"}


def alert_answer(
    alert: Alert,
    channels: Channels,
    *,
    fired_ms: int | None = None,
    attached_to: list[str] | None = None,
    warnings: Sequence[str] = (),
) -> schemas.Alert:
    """
    Args:
        channels: Those that the alert holds sealed.
        fired_ms: When it fired last (since the epoch).
    """
    told = schemas.ShownNotificationConfig.model_validate(
        {
            "channels": [shown_channel(each) for each in channels],
            "include_matches": alert.include_matches,
            "include_scores": alert.include_scores,
        }
    )
    return schemas.Alert(
        **alert.model_dump(exclude=_SEALED),
        last_fired_at=None if fired_ms is None else iso(fired_ms),
        notification_config=told,
        attached_to=attached_to,
        warnings=list(warnings),
    )


def listed(body: dict[str, Any]) -> dict[str, Any]:
    """What filters and sorts of a list see of a stored alert: of its channels only the types."""
    seen = {name: value for name, value in body.items() if name not in _SEALED}
    told = {name: body[name] for name in ("include_matches", "include_scores")}
    told["channels"] = [{"channel_type": each} for each in body["channel_types"]]
    return {**seen, "notification_config": told}
