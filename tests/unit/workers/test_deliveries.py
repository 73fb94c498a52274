"""One try of a delivery: what is sent, what the answer means, and what becomes of the delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import format_datetime
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook

from shared.deliveries.templates import check_blocks, check_template
from shared.errors import InvalidInput
from shared.models.channel import Channel, EmailChannel, RetiringSecret, SlackChannel, WebhookChannel
from shared.models.delivery import Attempt, Lane, TakenDelivery
from shared.outbound.addresses import AllowList, parse_allow_list
from shared.outbound.guard import OutboundGuard
from shared.outbound.http import Response
from shared.outbound.smtp import parse_smtp_url
from shared.settings import Settings
from tests.receivers import http_receiver, mail_receiver
from tests.servers import free_port
from workers.deliveries.answer import Answer
from workers.deliveries.dispatcher import Dispatcher
from workers.deliveries.http_answer import answer_of
from workers.deliveries.sender import Sender

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PAYLOAD = {
    "event_id": "evt_1",
    "event_type": "resource.execution_failed",
    "namespace_id": "ns_1",
    "resource_type": "retriever",
    "resource_id": "ret_1",
    "execution_id": "exec_1",
    "status": "failed",
    "error": "stage 'x': it broke",
}
SENTENCE = "resource.execution_failed: retriever ret_1, execution exec_1 is failed (stage 'x': it broke)"
OPEN = OutboundGuard(parse_allow_list("127.0.0.1"))


def delivery(payload: Mapping[str, Any] = PAYLOAD, *, tries: int = 1, timeout_s: float = 10) -> TakenDelivery:
    lane = Lane("wh_1", 0)
    body = orjson.dumps(payload)
    return TakenDelivery("dlv_1_wh_1_0", 1, lane, "evt_1", "resource.executed", body, tries, timeout_s)


def sender(guard: OutboundGuard = OPEN, smtp_url: str = "") -> Sender:
    return Sender(guard, parse_smtp_url(smtp_url) if smtp_url else None, "kennel@example.com")


def test_a_webhook_is_sent_the_event_signed() -> None:
    with http_receiver() as receiver:
        retiring = (RetiringSecret(secret="older", until_ms=2**52), RetiringSecret(secret="over", until_ms=1))
        channel = WebhookChannel(
            url=f"{receiver.url}/in", headers={"X-Team": "a"}, signing_secret=SECRET, retiring=retiring
        )
        answer = sender().send(delivery(), channel)
    assert (answer.error, answer.status_code) == (None, 200)
    assert answer.response is not None and len(answer.response) == 300
    [received] = receiver.received
    assert Webhook(SECRET).verify(received.body, received.headers) == PAYLOAD
    assert received.headers["webhook-signature"].count("v1,") == 2
    assert (received.headers["x-team"], received.headers["content-type"]) == ("a", "application/json")
    assert received.headers["webhook-id"] == "evt_1"


def test_a_payload_template_takes_the_place_of_the_event() -> None:
    template = {"text": "{{ execution_id }} is {{ status }}", "n": 1, "all": ["{{ stages_completed }}"]}
    check_template(template, ["payload_template"])
    with http_receiver() as receiver:
        sender().send(delivery(), WebhookChannel(url=receiver.url, payload_template=template))
    assert receiver.bodies() == [{"text": "exec_1 is failed", "n": 1, "all": [None]}]


@pytest.mark.parametrize("template", [{"a": ["{{ nonsense }}"]}, {"a": "{{ status"}, {"a": "{{ INPUT.x }}"}])
def test_a_broken_template_is_refused_at_its_place(template: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_template(template, ["payload_template"])
    assert refused.value.errors[0]["loc"][:2] == ["payload_template", "a"]


def test_a_template_that_fails_with_an_event_is_not_tried_again() -> None:
    channel = WebhookChannel(url="https://example.com/", payload_template={"a": "{{ status + 1 }}"})
    answer = sender().send(delivery(), channel)
    assert answer.is_final
    assert answer.error is not None and answer.error.startswith("the template cannot be filled in")


def test_slack_is_sent_a_sentence() -> None:
    with http_receiver() as receiver:
        channel = SlackChannel(webhook_url=receiver.url, overrides={"channel": "#ops", "username": "kennel"})
        assert sender().send(delivery(), channel).error is None
    assert receiver.bodies() == [{"text": SENTENCE, "channel": "#ops", "username": "kennel"}]


def test_slack_is_sent_the_blocks_of_a_template_as_text() -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "{{ status }}", "emoji": True}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "{{ stages_completed }}"}]},
    ]
    template = orjson.dumps(blocks).decode()
    check_blocks(template, ["blocks_template"])
    with http_receiver() as receiver:
        channel = SlackChannel(webhook_url=receiver.url, blocks_template=template)
        assert sender().send(delivery(), channel).error is None
    [message] = receiver.bodies()
    assert message["text"] == SENTENCE
    assert message["blocks"] == [
        {"type": "header", "text": {"type": "plain_text", "text": "failed", "emoji": True}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": ""}]},
    ]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("[", "is not JSON"),
        ("[" * 5_000, "is not JSON"),
        ('{"type": "divider"}', "is no list of Slack blocks"),
        ("[]", "is no list of Slack blocks"),
        ("[1]", "is no list of Slack blocks"),
        (orjson.dumps([{}] * 51).decode(), "holds 51 blocks"),
        ('[{"text": "{{ nonsense }}"}]', "nonsense"),
        ('[{"a":' * 100 + "1" + "}]" * 100, "nested deeper"),
    ],
)
def test_what_are_no_blocks_is_refused(template: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as refused:
        check_blocks(template, ["blocks_template"])
    assert "template" in str(refused.value.errors[0]["loc"][0])


def test_a_mail_goes_to_all_its_recipients() -> None:
    channel = EmailChannel(
        to_addresses=("a@example.com", "b@example.com"),
        cc_addresses=("c@example.com",),
        bcc_addresses=("d@example.com",),
    )
    with mail_receiver() as (port, mails):
        assert sender(smtp_url=f"smtp://127.0.0.1:{port}").send(delivery(), channel) == Answer()
        envelope = mails.get(timeout=10)
    assert envelope.rcpt_tos == [f"{name}@example.com" for name in "abcd"]
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert (mail["From"], mail["To"], mail["Cc"]) == (
        "kennel@example.com",
        "a@example.com, b@example.com",
        "c@example.com",
    )
    assert mail["Bcc"] is None
    assert mail["Subject"] == f"[Kennel] {SENTENCE}"
    assert mail["Message-ID"].startswith("<evt_1@")
    assert orjson.loads(mail.get_content()) == PAYLOAD


def test_a_mails_templates_cannot_add_headers() -> None:
    channel = EmailChannel(
        to_addresses=("a@example.com",),
        subject_template="{{ error }}",
        body_template="<b>{{ status }}</b>",
        content_type="html",
    )
    with mail_receiver() as (port, mails):
        sly = delivery({**PAYLOAD, "error": "x\r\nBcc: spy@example.com"})
        sender(smtp_url=f"smtp://127.0.0.1:{port}").send(sly, channel)
        envelope = mails.get(timeout=10)
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert (mail["Subject"], mail["Bcc"]) == ("x Bcc: spy@example.com", None)
    assert (mail.get_content_type(), mail.get_content()) == ("text/html", "<b>failed</b>\r\n")
    assert envelope.rcpt_tos == ["a@example.com"]


def test_a_password_is_not_sent_in_clear() -> None:
    with mail_receiver() as (port, _):
        answer = sender(smtp_url=f"smtp://user:hidden@127.0.0.1:{port}").send(
            delivery(), EmailChannel(to_addresses=("a@example.com",))
        )
    assert answer.error == "the mail server offers no STARTTLS, so the password was not sent"


def test_mail_without_a_server_is_final_and_with_a_dead_one_it_is_not() -> None:
    channel = EmailChannel(to_addresses=("a@example.com",))
    assert sender().send(delivery(), channel).is_final
    dead = sender(smtp_url=f"smtp://127.0.0.1:{free_port()}").send(delivery(), channel)
    assert dead.error is not None and not dead.is_final


def test_an_internal_address_is_refused_for_good() -> None:
    with http_receiver() as receiver:
        for channel in (WebhookChannel(url=receiver.url), SlackChannel(webhook_url=receiver.url)):
            answer = sender(OutboundGuard(AllowList())).send(delivery(), channel)
            assert answer.is_final
            assert answer.error is not None and "KENNEL_OUTBOUND_ALLOW" in answer.error
    assert receiver.received == []


def test_a_receiver_that_hangs_is_left_in_time() -> None:
    with http_receiver() as receiver:
        receiver.hold.clear()
        answer = sender().send(delivery(timeout_s=0.2), WebhookChannel(url=receiver.url))
    assert answer == Answer("no answer within 0.2 s")


@pytest.mark.parametrize(
    ("status", "error", "is_gone"),
    [
        (200, None, False),
        (204, None, False),
        (301, "the receiver answered 301; redirects are not followed", False),
        (404, "the receiver answered 404", False),
        (410, "the receiver answered 410", True),
        (500, "the receiver answered 500", False),
    ],
)
def test_what_a_status_means(status: int, error: str | None, is_gone: bool) -> None:
    answer = answer_of(Response(status, {}, b"\xff"))
    assert (answer.error, answer.status_code, answer.is_gone) == (error, status, is_gone)
    assert answer.response == "\ufffd"


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120.0), ("", None), ("soon", None), ("-5", None), ("9" * 50, None)]
)
def test_retry_after_is_read(text: str, seconds: float | None) -> None:
    assert answer_of(Response(503, {"retry-after": text}, b"")).retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    answer = answer_of(Response(503, {"retry-after": format_datetime(at, usegmt=True)}, b""))
    assert answer.retry_after_s is not None and 3_000 < answer.retry_after_s <= 3_600


class Queue:
    """Remembers what a delivery was settled as."""

    def __init__(self, channel: Channel | None) -> None:
        self._channel = channel
        self.settled: list[tuple[str, float, str]] = []
        self.paused: list[str] = []

    def channel(self, taken: TakenDelivery) -> Channel | None:
        return self._channel

    def settle(
        self, taken: TakenDelivery, verdict: str, attempt: Attempt, *, delay_s: float, cause: str
    ) -> bool:
        self.settled.append((verdict, delay_s, cause))
        return True

    def pause(self, webhook_id: str, reason: str) -> None:
        self.paused.append(webhook_id)


HOOK = WebhookChannel(url="https://example.com/")
LAST = Settings().delivery_attempts


@pytest.mark.parametrize(
    ("answer", "channel", "tries", "verdict", "cause"),
    [
        (Answer(), HOOK, 1, "delivered", ""),
        (Answer("down"), HOOK, 1, "pending", "down"),
        (Answer("down"), HOOK, LAST, "failed", "down"),
        (Answer("refused", is_final=True), HOOK, 1, "failed", "refused"),
        (Answer("gone", is_gone=True), HOOK, 1, "failed", "gone"),
        (Answer(), None, 1, "failed", ""),
    ],
)
def test_what_becomes_of_a_delivery(
    answer: Answer, channel: Channel | None, tries: int, verdict: str, cause: str
) -> None:
    queue = Queue(channel)
    dispatcher = Dispatcher(queue, lambda *_: answer, Settings(), lambda: False)  # type: ignore[arg-type]
    dispatcher.deliver(delivery(tries=tries))
    [(settled, _, said)] = queue.settled
    assert (settled, said) == (verdict, cause)
    assert queue.paused == (["wh_1"] if answer.is_gone else [])


def test_a_receiver_decides_how_long_to_wait() -> None:
    queue = Queue(HOOK)
    answer = Answer("busy", 429, retry_after_s=600)
    Dispatcher(queue, lambda *_: answer, Settings(), lambda: False).deliver(delivery())  # type: ignore[arg-type]
    assert queue.settled == [("pending", 600, "busy")]
