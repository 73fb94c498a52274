"""Webhooks: what a client sends and gets."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictBool, StrictInt

from api.schemas.common import Pagination, PagingBody, Printable, RequestModel
from shared.deliveries.signatures import check_secret
from shared.models.channel import TIMEOUT_MAX_S
from shared.models.webhook import CHANNELS_MAX, EVENT_TYPES, HAPPENING
from shared.outbound.urls import URL_MAX_CHARS, parse_url

_GRACE_MAX_S = 604_800
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]{0,4000}")
_EMAIL = re.compile(r"[^@\s,<>]{1,64}@[^@\s,<>]{1,255}")
_TAKEN_HEADERS = frozenset(
    ("host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "upgrade", "te")
)
_OUR_HEADERS = ("webhook-", "x-mixpeek-")


def _event_type(value: str) -> str:
    if value in HAPPENING:
        return value
    happening = ", ".join(HAPPENING)
    if value in EVENT_TYPES:
        raise ValueError(f"{value} does not happen in this version, so nothing would come; use {happening}")
    raise ValueError(f"is no event type; use {happening}")


def _url(value: str) -> str:
    parse_url(value)
    return value


def _headers(headers: dict[str, str] | None) -> dict[str, str] | None:
    for name, value in (headers or {}).items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r:.80} cannot be the name of a header")
        if name.lower() in _TAKEN_HEADERS or name.lower().startswith(_OUR_HEADERS):
            raise ValueError(f"the header {name} is written by Kennel; leave it out")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the value of {name} is too long, or holds a line break or the like")
    return headers


def _secret(value: str | None) -> str | None:
    check_secret(value or "")
    return value


def _address(value: str) -> str:
    if not (_EMAIL.fullmatch(value) and value.isprintable()):
        raise ValueError("is no mail address")
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


UrlText = Annotated[str, Field(max_length=URL_MAX_CHARS), AfterValidator(_url)]
SecretText = Annotated[
    str | None,
    Field(
        max_length=500,
        description="Signs each delivery; `whsec_…` or any text. Reads back as `redacted`; sending that, or "
        'nothing, on an update keeps it, "" removes it.',
    ),
    AfterValidator(_secret),
]
Addresses = Annotated[list[Annotated[str, AfterValidator(_address)]], Field(max_length=50)]
Short = Annotated[str | None, Field(max_length=200), Printable]
Template = Annotated[str | None, Field(max_length=10_000, description="A template; it sees the event.")]


class WebhookConfigs(RequestModel):
    url: UrlText
    headers: Annotated[
        dict[str, str] | None, Field(max_length=50, description="Sent along."), AfterValidator(_headers)
    ] = None
    payload_template: Annotated[
        dict[str, Any] | None,
        Field(description="Sent in place of the event; its texts are templates, such as {{ execution_id }}."),
    ] = None
    timeout: Annotated[float, Field(ge=1, le=TIMEOUT_MAX_S, description="Time for the whole answer (s).")] = (
        10.0
    )
    signing_secret: SecretText = None


class SlackConfigs(RequestModel):
    webhook_url: UrlText
    channel: Short = None
    username: Short = None
    icon_emoji: Short = None
    icon_url: Short = None
    blocks_template: Annotated[
        str | None,
        Field(
            max_length=10_000,
            description="Slack blocks, a JSON list as text; their texts are templates, which see the event.",
        ),
    ] = None


class EmailConfigs(RequestModel):
    to_addresses: Annotated[Addresses, Field(min_length=1)]
    subject_template: Template = None
    body_template: Template = None
    content_type: Literal["plain_text", "html"] | None = None
    cc_addresses: Addresses | None = None
    bcc_addresses: Addresses | None = None


class WebhookChannel(RequestModel):
    channel: Literal["webhook"]
    configs: WebhookConfigs


class SlackChannel(RequestModel):
    channel: Literal["slack"]
    configs: SlackConfigs


class EmailChannel(RequestModel):
    channel: Literal["email"]
    configs: EmailConfigs


Channel = Annotated[WebhookChannel | SlackChannel | EmailChannel, Field(discriminator="channel")]
Name = Annotated[str, Field(min_length=1, max_length=200), Printable]
EventTypes = Annotated[
    list[Annotated[str, AfterValidator(_event_type)]],
    Field(min_length=1, max_length=100, description=f"Of {', '.join(HAPPENING)}."),
]
ResourceTypes = Annotated[
    list[Annotated[Literal["retriever", "alert"], BeforeValidator(_lower)]] | None,
    Field(
        max_length=10,
        description="Events of these only; executions are of `retriever`, those of alerts of `alert`.",
    ),
]
ChannelList = Annotated[
    list[Channel], Field(min_length=1, max_length=CHANNELS_MAX, description="Each is told of each event.")
]


class _WebhookRequest(RequestModel):
    channels: ChannelList | None = None

    def all_warnings(self) -> list[str]:
        """Of unknown keys, those of the channels included."""
        inner = [
            f"the key 'channels[{index}].{where}{key}' is unknown and was ignored"
            for index, channel in enumerate(self.channels or ())
            for where, part in (("", channel), ("configs.", channel.configs))
            for key in part.unknown_keys()
        ]
        return self.warnings() + inner


class WebhookCreate(_WebhookRequest):
    webhook_name: Name
    event_types: EventTypes
    channels: ChannelList
    resource_types: ResourceTypes = None
    is_active: StrictBool = True


class WebhookUpdate(_WebhookRequest):
    """What is left out or null stays. Switching a webhook on forgets its failures."""

    webhook_name: Name | None = None
    event_types: EventTypes | None = None
    channels: ChannelList | None = None
    resource_types: ResourceTypes = None
    is_active: StrictBool | None = None


class WebhookListBody(PagingBody):
    """All of it may be left out."""

    event_type: Annotated[str | None, Field(max_length=100, description="Only those that want it.")] = None
    is_active: StrictBool | None = None


class RotateBody(RequestModel):
    grace_period_s: Annotated[
        StrictInt, Field(ge=0, le=_GRACE_MAX_S, description="How long the old secret signs beside it (s).")
    ] = 86_400
    signing_secret: Annotated[
        str | None,
        Field(min_length=1, max_length=500, description="Made when left out."),
        AfterValidator(_secret),
    ] = None


class ShownChannel(BaseModel):
    channel: Literal["webhook", "slack", "email"]
    configs: Annotated[
        dict[str, Any], Field(description="As they were sent; a signing secret reads `redacted`.")
    ]


class DeliveryHealth(BaseModel):
    """The present run of failed deliveries, and whether it made Kennel switch the webhook off."""

    consecutive_failures: int
    first_failure_at: str | None
    last_failure_at: str | None
    last_failure_cause: str | None
    paused_at: str | None
    paused_reason: str | None


class Webhook(BaseModel):
    webhook_id: str
    webhook_name: str
    event_types: list[str]
    resource_types: list[str] | None
    channels: list[ShownChannel]
    is_active: bool
    delivery_health: Annotated[
        DeliveryHealth | None, Field(description="Null when the last delivery of each channel went well.")
    ]
    created_at: str
    updated_at: str
    warnings: list[str] = []


class WebhookList(BaseModel):
    results: list[Webhook]
    pagination: Pagination
    total: int


class RotatedSecret(BaseModel):
    webhook_id: str
    signing_secret: Annotated[str, Field(description="Shown this once.")]
    previous_expires_at: Annotated[
        str | None, Field(description="Until when the old secret signs, too; null: there was none.")
    ]
    warnings: list[str] = []
