"""Channels between their three forms: as a client sends them, as they are stored, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.schemas import webhooks as schemas
from shared.deliveries.templates import check_blocks, check_template
from shared.errors import InvalidInput
from shared.models.channel import Channel, Channels, EmailChannel, SlackChannel, WebhookChannel
from shared.outbound.errors import OutboundRefused
from shared.outbound.guard import OutboundGuard
from shared.outbound.urls import parse_url

REDACTED = "redacted"
_OVERRIDES = ("channel", "username", "icon_emoji", "icon_url")


class ChannelReader:
    """Checks what a client sends against how this installation is set up."""

    def __init__(self, guard: OutboundGuard, *, has_mail: bool) -> None:
        self._guard = guard
        self._has_mail = has_mail

    def read(
        self,
        given: Sequence[schemas.Channel],
        kept: Channels = (),
        *,
        at: Sequence[str] = ("channels",),
        member: str = "configs",
    ) -> Channels:
        """The channels to store; a redacted secret is that of the channel at the same place in `kept`.

        Args:
            at, member: Where the request has them, and what it calls their configs; errors say so.

        Raises:
            InvalidInput: an internal address, a broken template, mail without a mail server, or a
                redacted secret where none is kept.
        """
        return tuple(
            self._read(each, kept[index] if index < len(kept) else None, (*at, index, member))
            for index, each in enumerate(given)
        )

    def _read(self, given: schemas.Channel, kept: Channel | None, loc: tuple[str | int, ...]) -> Channel:
        match given:
            case schemas.WebhookChannel(configs=configs):
                return self._webhook(configs, kept, loc)
            case schemas.SlackChannel(configs=configs):
                self._check_url(configs.webhook_url, (*loc, "webhook_url"))
                overrides = configs.model_dump(include=set(_OVERRIDES), exclude_none=True)
                if configs.blocks_template is not None:
                    check_blocks(configs.blocks_template, (*loc, "blocks_template"))
                return SlackChannel(
                    webhook_url=configs.webhook_url,
                    overrides=overrides,
                    blocks_template=configs.blocks_template,
                )
            case schemas.EmailChannel(configs=configs):
                return self._email(configs, loc)

    def _webhook(
        self, configs: schemas.WebhookConfigs, kept: Channel | None, loc: tuple[str | int, ...]
    ) -> WebhookChannel:
        self._check_url(configs.url, (*loc, "url"))
        check_template(configs.payload_template, (*loc, "payload_template"))
        made = WebhookChannel(
            url=configs.url,
            headers=configs.headers or {},
            payload_template=configs.payload_template,
            timeout_s=configs.timeout,
            signing_secret=configs.signing_secret or None,
        )
        if configs.signing_secret not in (None, REDACTED):
            return made
        if isinstance(kept, WebhookChannel):
            same = {"signing_secret": kept.signing_secret, "retiring": kept.retiring}
            return made.model_copy(update=same)
        if configs.signing_secret == REDACTED:
            raise InvalidInput.at(
                (*loc, "signing_secret"),
                f"there is no secret to keep; send one instead of {REDACTED!r}",
            )
        return made

    def _email(self, configs: schemas.EmailConfigs, loc: tuple[str | int, ...]) -> EmailChannel:
        if not self._has_mail:
            raise InvalidInput.at(
                loc, "no mail server is set; start Kennel with KENNEL_SMTP_URL and KENNEL_SMTP_FROM"
            )
        check_template(configs.subject_template, (*loc, "subject_template"))
        check_template(configs.body_template, (*loc, "body_template"))
        return EmailChannel(
            to_addresses=tuple(configs.to_addresses),
            cc_addresses=tuple(configs.cc_addresses or ()),
            bcc_addresses=tuple(configs.bcc_addresses or ()),
            subject_template=configs.subject_template,
            body_template=configs.body_template,
            content_type=configs.content_type or "plain_text",
        )

    def _check_url(self, url: str, loc: tuple[str | int, ...]) -> None:
        try:
            self._guard.check_literal(parse_url(url).host)
        except OutboundRefused as error:
            raise InvalidInput.at(loc, str(error)) from error


def shown(channel: Channel) -> dict[str, Any]:
    """A channel as it is read: each kind with its own required key, by which clients tell them apart."""
    match channel:
        case WebhookChannel():
            configs = {
                "url": channel.url,
                "headers": dict(channel.headers),
                "payload_template": channel.payload_template,
                "timeout": channel.timeout_s,
                "signing_secret": REDACTED if channel.signing_secret else None,
            }
        case SlackChannel():
            configs = {
                "webhook_url": channel.webhook_url,
                **dict.fromkeys(_OVERRIDES),
                **channel.overrides,
                "blocks_template": channel.blocks_template,
            }
        case EmailChannel():
            configs = channel.model_dump(mode="json", exclude={"channel", "timeout_s"})
    return {"channel": channel.channel, "configs": configs}
