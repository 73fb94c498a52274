"""One try of one delivery, to a channel of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import orjson

from shared.alerts import notice
from shared.clock import now_ms
from shared.deliveries.signatures import signature_headers
from shared.deliveries.templates import blocks_of, rendered
from shared.errors import InvalidInput
from shared.models.channel import Channel, EmailChannel, SlackChannel, WebhookChannel
from shared.models.delivery import TakenDelivery
from shared.outbound.errors import OutboundFailed
from shared.outbound.guard import OutboundGuard
from shared.outbound.smtp import SmtpServer, send_mail
from workers.deliveries.answer import Answer
from workers.deliveries.http_answer import posted

_USER_AGENT = "Kennel-Webhooks"
_JSON = "application/json"


class Sender:
    """Safe to share between threads."""

    def __init__(self, guard: OutboundGuard, smtp: SmtpServer | None, smtp_from: str) -> None:
        """`smtp` is None where no mail server is set."""
        self._guard = guard
        self._smtp = smtp
        self._smtp_from = smtp_from

    def send(self, taken: TakenDelivery, channel: Channel) -> Answer:
        """What the receiver said; a template that fails with this event is final."""
        try:
            match channel:
                case WebhookChannel():
                    return self._webhook(taken, channel)
                case SlackChannel():
                    return self._slack(taken, channel)
                case EmailChannel():
                    return self._mail(taken, channel)
        except InvalidInput as error:
            return Answer(f"the template cannot be filled in: {error.message}", is_final=True)

    def _webhook(self, taken: TakenDelivery, channel: WebhookChannel) -> Answer:
        body = taken.payload
        if channel.payload_template is not None:
            body = orjson.dumps(rendered(channel.payload_template, orjson.loads(taken.payload)))
        at_ms = now_ms()
        signed = signature_headers(taken.event_id, at_ms // 1000, body, channel.secrets_at(at_ms))
        headers = {
            "User-Agent": _USER_AGENT,
            **channel.headers,
            "Content-Type": _JSON,
            **signed,
        }
        return posted(channel.url, headers, body, self._guard, timeout_s=taken.timeout_s)

    def _slack(self, taken: TakenDelivery, channel: SlackChannel) -> Answer:
        payload = orjson.loads(taken.payload)
        message: dict[str, Any] = {
            "text": sentence(payload),
            **channel.overrides,
        }  # the text is what notifications show
        if channel.blocks_template is not None:
            message["blocks"] = blocks_of(channel.blocks_template, payload)
        body = orjson.dumps(message)
        headers = {"User-Agent": _USER_AGENT, "Content-Type": _JSON}
        return posted(channel.webhook_url, headers, body, self._guard, timeout_s=taken.timeout_s)

    def _mail(self, taken: TakenDelivery, channel: EmailChannel) -> Answer:
        if self._smtp is None:
            return Answer("no mail server is set; set KENNEL_SMTP_URL and KENNEL_SMTP_FROM", is_final=True)
        recipients = (*channel.to_addresses, *channel.cc_addresses, *channel.bcc_addresses)
        message = mail_of(taken, channel, self._smtp_from)
        try:
            send_mail(self._smtp, message, self._smtp_from, recipients, timeout_s=taken.timeout_s)
        except OutboundFailed as error:
            return Answer(str(error))
        return Answer()


def sentence(payload: Mapping[str, Any]) -> str:
    """The event in one line, for people."""
    if payload["event_type"] == notice.EVENT_TYPE:
        words = f"alert {payload['alert_name']!r} fired with {payload['match_count']} matches"
        return f"{words}, execution {payload['execution_id']}"
    words = (
        f"{payload['event_type']}: {payload.get('resource_type', 'resource')} {payload.get('resource_id')}"
    )
    if payload.get("execution_id"):
        words += f", execution {payload['execution_id']} is {payload['status']}"
    if payload.get("error"):
        words += f" ({payload['error']})"
    return words


def mail_of(taken: TakenDelivery, channel: EmailChannel, sender: str) -> EmailMessage:
    """The mail. Its Message-ID follows from the event, so that a mail program shows a repeat once.

    Raises:
        InvalidInput: a template cannot be filled in.
    """
    payload = orjson.loads(taken.payload)
    subject = f"[Kennel] {sentence(payload)}"
    if channel.subject_template is not None:
        subject = str(rendered(channel.subject_template, payload))
    text = orjson.dumps(payload, option=orjson.OPT_INDENT_2).decode()
    if channel.body_template is not None:
        text = str(rendered(channel.body_template, payload))
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(channel.to_addresses)
    if channel.cc_addresses:
        message["Cc"] = ", ".join(channel.cc_addresses)
    message["Subject"] = " ".join(subject.split())  # a header is one line
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{taken.event_id}@{make_msgid().rpartition('@')[2]}"
    message.set_content(text, subtype="html" if channel.content_type == "html" else "plain")
    return message
