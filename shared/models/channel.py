"""Channels: the places that deliveries go to. The same for webhooks and whatever else tells the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

TIMEOUT_MAX_S = 30.0
MAIL_TIMEOUT_S = 20.0


class _Channel(BaseModel):
    model_config = ConfigDict(frozen=True)


class RetiringSecret(_Channel):
    """A signing secret that was rotated away, and signs beside the new one for a while."""

    secret: str
    until_ms: int


class WebhookChannel(_Channel):
    channel: Literal["webhook"] = "webhook"
    url: str
    headers: Mapping[str, str] = {}
    payload_template: Mapping[str, Any] | None = None
    timeout_s: float = 10.0
    signing_secret: str | None = None
    retiring: tuple[RetiringSecret, ...] = ()

    def secrets_at(self, now_ms: int) -> list[str]:
        """What signs at that time: the present secret first."""
        present = [self.signing_secret] if self.signing_secret else []
        return present + [each.secret for each in self.retiring if each.until_ms > now_ms]


class SlackChannel(_Channel):
    channel: Literal["slack"] = "slack"
    webhook_url: str
    overrides: Mapping[str, str] = Field(default={}, description="channel, username, icon_emoji, icon_url.")
    blocks_template: str | None = None  # JSON: a list of blocks, whose texts are templates
    timeout_s: float = 10.0


class EmailChannel(_Channel):
    channel: Literal["email"] = "email"
    to_addresses: tuple[str, ...]
    cc_addresses: tuple[str, ...] = ()
    bcc_addresses: tuple[str, ...] = ()
    subject_template: str | None = None
    body_template: str | None = None
    content_type: Literal["plain_text", "html"] = "plain_text"
    timeout_s: float = MAIL_TIMEOUT_S


Channel = Annotated[WebhookChannel | SlackChannel | EmailChannel, Field(discriminator="channel")]
Channels = tuple[Channel, ...]
_CHANNELS: TypeAdapter[Channels] = TypeAdapter(Channels)


def channels_to_json(channels: Channels) -> str:
    return _CHANNELS.dump_json(channels).decode()


def channels_from_json(text: str) -> Channels:
    return _CHANNELS.validate_json(text)
