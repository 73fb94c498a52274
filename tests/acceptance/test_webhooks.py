"""Ends of executions reach a webhook: signed, retried under one id, recorded, though a worker is killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.contract.scenes import BY_YEAR, failing, run, unique
from tests.receivers import Receiver, http_receiver
from tests.stack import Stack, create_retriever, kill, stack
from tests.waiting import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENTS = ["resource.executed", "resource.execution_failed"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    allowed = {"KENNEL_OUTBOUND_ALLOW": "127.0.0.1", "KENNEL_DELIVERY_BACKOFF_S": "0.05"}
    with stack(tmp_path_factory.mktemp("webhooks"), **allowed) as made:
        made.start_worker("first")
        yield made


@pytest.fixture(scope="module")
def client(service: Stack) -> Iterator[httpx.Client]:
    with service.namespace("webhooks") as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as made:
        yield made


@pytest.fixture
def webhook(service: Stack, receiver: Receiver) -> Iterator[str]:
    """Id of a webhook that is told of both ends."""
    configs = {"url": f"{receiver.url}/hook", "signing_secret": SECRET, "headers": {"X-Team": "search"}}
    body = {
        "webhook_name": unique("hook"),
        "event_types": EVENTS,
        "channels": [{"channel": "webhook", "configs": configs}],
    }
    made = service.client.post("/organizations/webhooks", json=body).raise_for_status().json()
    assert made["channels"][0]["configs"]["signing_secret"] == "redacted"
    yield made["webhook_id"]
    assert service.client.delete(f"/organizations/webhooks/{made['webhook_id']}").status_code == 204


def deliveries(service: Stack, webhook: str) -> list[dict[str, Any]]:
    answer = service.client.get(f"/organizations/webhooks/{webhook}/deliveries").raise_for_status()
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def received(receiver: Receiver, count: int) -> None:
    wait_until(lambda: len(receiver.received) >= count, 30, f"{count} deliveries")


def test_both_ends_are_told_and_signed(
    service: Stack, client: httpx.Client, receiver: Receiver, webhook: str
) -> None:
    good = run(client, create_retriever(client, unique("good"), [BY_YEAR]))
    received(receiver, 1)
    bad = run(client, create_retriever(client, unique("bad"), [failing()]))
    received(receiver, 2)
    first, second = receiver.received
    assert (first.path, first.headers["x-team"]) == ("/hook", "search")
    for each, event, execution in ((first, EVENTS[0], good), (second, EVENTS[1], bad)):
        told = Webhook(SECRET).verify(each.body, each.headers)
        assert told == each.json()
        assert (told["event_type"], told["resource_type"]) == (event, "retriever")
        assert (told["execution_id"], told["status"]) == (execution["execution_id"], execution["status"])
        assert each.headers["x-mixpeek-signature"].startswith("t=")
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    both = ["delivered"] * 2
    wait_until(lambda: [each["status"] for each in deliveries(service, webhook)] == both, 10, "both")


def test_a_receiver_that_fails_is_tried_again_under_one_id(
    service: Stack, client: httpx.Client, receiver: Receiver, webhook: str
) -> None:
    receiver.answers = [(503, {}), (500, {})]
    run(client, create_retriever(client, unique("again"), [BY_YEAR]))
    received(receiver, 3)
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    assert len({each.body for each in receiver.received}) == 1
    wait_until(lambda: deliveries(service, webhook)[0]["status"] == "delivered", 10, "the delivery")
    [delivery] = deliveries(service, webhook)
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [503, 500, 200]
    path = f"/organizations/webhooks/{webhook}/deliveries/{delivery['delivery_id']}"
    service.client.post(f"{path}/redeliver").raise_for_status()
    received(receiver, 4)
    assert receiver.received[3].headers["webhook-id"] == receiver.received[0].headers["webhook-id"]


def test_a_killed_workers_delivery_is_sent_by_another(
    service: Stack, client: httpx.Client, receiver: Receiver, webhook: str
) -> None:
    made = create_retriever(client, unique("killed"), [BY_YEAR])
    receiver.hold.clear()
    run(client, made)
    received(receiver, 1)
    kill(service.processes[-1])
    receiver.hold.set()
    service.start_worker("second")
    received(receiver, 2)
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "http://10.0.0.1/", "ftp://example.com/", "http://[::1]/"]
)
def test_internal_addresses_are_refused(service: Stack, url: str) -> None:
    body = {
        "webhook_name": unique("inside"),
        "event_types": EVENTS,
        "channels": [{"channel": "webhook", "configs": {"url": url}}],
    }
    assert service.client.post("/organizations/webhooks", json=body).status_code == 422
