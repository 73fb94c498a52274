"""Channels of an alert: the shared ones (services/webhooks/channels.py) under the contract's other names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.schemas import webhooks as schemas
from api.schemas.alerts import AlertChannel
from api.services.validation import validated
from api.services.webhooks.channels import shown
from shared.models.channel import Channel

PLACE = ("notification_config", "channels")


def as_sent(channels: Sequence[AlertChannel]) -> list[schemas.Channel]:
    """As a webhook's channels are sent. Raises InvalidInput naming the place in the alert."""
    return [_as_sent(each, (*PLACE, number, "config")) for number, each in enumerate(channels)]


def _as_sent(given: AlertChannel, at: tuple[str | int, ...]) -> schemas.Channel:
    config = given.config
    match given.channel_type:
        case "webhook":
            hook = validated(schemas.WebhookConfigs, config, at=at)
            return schemas.WebhookChannel(channel="webhook", configs=hook)
        case "slack":
            slack = validated(schemas.SlackConfigs, _with_webhook_url(config), at=at)
            return schemas.SlackChannel(channel="slack", configs=slack)
        case "email":
            mail = validated(schemas.EmailConfigs, config, at=at)
            return schemas.EmailChannel(channel="email", configs=mail)


def _with_webhook_url(config: dict[str, Any]) -> dict[str, Any]:
    """Slack's URL is often just called `url`."""
    if "url" not in config or "webhook_url" in config:
        return config
    rest = {name: value for name, value in config.items() if name != "url"}
    return {**rest, "webhook_url": config["url"]}


def unknown_keys(channels: Sequence[schemas.Channel]) -> list[str]:
    """Warnings about keys of their configs that are ignored."""
    return [
        f"the key 'notification_config.channels[{number}].config.{key}' is unknown and was ignored"
        for number, each in enumerate(channels)
        for key in each.configs.unknown_keys()
    ]


def shown_channel(channel: Channel) -> dict[str, Any]:
    """As an alert's answer has it."""
    read = shown(channel)
    return {"channel_type": read["channel"], "channel_id": None, "config": read["configs"]}
