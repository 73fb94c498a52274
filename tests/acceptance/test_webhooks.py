"""Webhooks end to end: real workers deliver to real receivers, which fail, hang, vanish and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.contract.scenes import BY_YEAR, book, failing, retriever, run, unique, write
from tests.receivers import Receiver, http_receiver, mail_receiver
from tests.servers import free_port
from tests.stack import Stack, kill, stack
from tests.waiting import wait_until

PATH = "/organizations/webhooks"
BOTH = ["resource.executed", "resource.execution_failed"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WAIT_S = 30
TRIES = 8  # 11 s from the first to the last


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Any]:
    with mail_receiver() as made:
        yield made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, mailbox: Any) -> Iterator[Stack]:
    """A stack that may send to this machine, and tries again within milliseconds."""
    directory: Path = tmp_path_factory.mktemp("webhooks")
    with stack(
        directory,
        KENNEL_OUTBOUND_ALLOW="127.0.0.1",
        KENNEL_DELIVERY_BACKOFF_S="0.01",
        KENNEL_DELIVERY_ATTEMPTS=str(TRIES),
        KENNEL_SMTP_URL=f"smtp://127.0.0.1:{mailbox[0]}",
        KENNEL_SMTP_FROM="kennel@example.com",
    ) as made:
        made.start_worker("webhooks")
        yield made


@pytest.fixture(scope="module")
def client(service: Stack) -> Iterator[httpx.Client]:
    with service.namespace("webhooks") as client:
        created = client.post("/collections", json={"collection_name": "books"})
        assert created.status_code == 200
        write(client, "books", [book(number) for number in range(3)])
        yield client


@pytest.fixture(scope="module")
def by_year(client: httpx.Client) -> str:
    return retriever(client, BY_YEAR, collection_identifiers=["books"])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver() as made:
        yield made


class Hook:
    """A webhook of the test's own, deleted at its end."""

    def __init__(self, service: Stack, *channels: dict[str, Any], **over: Any) -> None:
        self._client = service.client
        body = {"webhook_name": unique("hook"), "event_types": BOTH, "channels": list(channels), **over}
        answer = self._client.post(PATH, json=body)
        assert answer.status_code == 200, answer.text
        self.path = f"{PATH}/{answer.json()['webhook_id']}"

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._client.delete(self.path).status_code == 204

    def read(self, what: str = "") -> Any:
        answer = self._client.get(self.path + what)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, what: str, **body: Any) -> Any:
        answer = self._client.post(self.path + what, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, **body: Any) -> Any:
        answer = self._client.put(self.path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def deliveries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        listed: list[dict[str, Any]] = self.read("/deliveries")["results"]
        return listed[::-1]

    def settled(self, count: int = 1) -> list[dict[str, Any]]:
        """So many deliveries, once none of them is on its way."""

        def found() -> list[dict[str, Any]]:
            listed = self.deliveries()
            over = [each for each in listed if each["status"] in ("delivered", "failed")]
            return listed if len(over) == len(listed) == count else []

        return wait_until(found, WAIT_S, f"{count} deliveries to be settled")


def webhook(url: str, **configs: Any) -> dict[str, Any]:
    return {"channel": "webhook", "configs": {"url": url, "signing_secret": SECRET, **configs}}


def test_each_end_is_delivered_signed(
    service: Stack, client: httpx.Client, by_year: str, receiver: Receiver
) -> None:
    with Hook(service, webhook(f"{receiver.url}/in")) as hook:
        done = run(client, by_year)
        broken = run(client, retriever(client, failing()))
        first, second = hook.settled(2)
    events = {each.json()["execution_id"]: each for each in receiver.received}
    assert events.keys() == {done["execution_id"], broken["execution_id"]}
    for execution, event_type in ((done, "resource.executed"), (broken, "resource.execution_failed")):
        received = events[execution["execution_id"]]
        event = Webhook(SECRET).verify(received.body, received.headers)
        assert (event["event_type"], event["status"]) == (event_type, execution["status"])
        assert (event["error"], event["completed_at"]) == (execution["error"], execution["completed_at"])
        assert event["event_id"] == received.headers["webhook-id"]
    for delivery in (first, second):
        [attempt] = delivery["attempts"]
        assert (attempt["status_code"], attempt["error"], len(attempt["response"])) == (200, None, 300)
        assert delivery["payload"] == events[delivery["payload"]["execution_id"]].json()


def test_a_receiver_that_is_down_gets_it_when_it_is_up(
    service: Stack, client: httpx.Client, by_year: str
) -> None:
    port = free_port()
    with Hook(service, webhook(f"http://127.0.0.1:{port}/")) as hook:
        run(client, by_year)

        def failed_three_times() -> bool:
            return any(len(each["attempts"]) >= 3 for each in hook.deliveries())

        wait_until(failed_three_times, WAIT_S, "three tries")
        health = hook.read()["delivery_health"]
        assert health["consecutive_failures"] >= 3
        assert health["first_failure_at"] < health["last_failure_at"]
        assert "refused" in health["last_failure_cause"]
        with http_receiver(port) as receiver:
            [delivery] = hook.settled()
        assert hook.read()["delivery_health"] is None
    assert delivery["status"] == "delivered"
    assert delivery["tries"] == len(delivery["attempts"]) >= 4
    assert [received.headers["webhook-id"] for received in receiver.received] == [delivery["event_id"]]


@pytest.mark.slow
def test_tries_end_and_it_can_be_sent_again_under_the_same_id(service: Stack, receiver: Receiver) -> None:
    receiver.status = 500
    with Hook(service, webhook(receiver.url)) as hook:
        hook.post("/test")
        [given_up] = hook.settled()
        assert (given_up["status"], given_up["tries"], len(receiver.received)) == ("failed", TRIES, TRIES)
        receiver.status = 200
        hook.post(f"/deliveries/{given_up['delivery_id']}/redeliver")
        [delivered] = hook.settled()
    assert (delivered["status"], delivered["tries"]) == ("delivered", 1)
    assert len(delivered["attempts"]) == TRIES + 1
    assert {each.headers["webhook-id"] for each in receiver.received} == {given_up["event_id"]}


def test_a_receiver_that_says_gone_switches_the_webhook_off(service: Stack, receiver: Receiver) -> None:
    receiver.status = 410
    with Hook(service, webhook(receiver.url)) as hook:
        hook.post("/test")
        wait_until(lambda: not hook.read()["is_active"], WAIT_S, "the webhook to be switched off")
        [delivery] = hook.deliveries()
        health = hook.read()["delivery_health"]
        assert (delivery["status"], len(receiver.received)) == ("failed", 1)
        assert "410" in health["paused_reason"]
        assert health["paused_at"] >= delivery["created_at"]
        again = hook.put(is_active=True)
        assert (again["is_active"], again["delivery_health"]) == (True, None)


def test_a_channel_that_hangs_holds_up_no_other(
    service: Stack, client: httpx.Client, by_year: str, receiver: Receiver
) -> None:
    with http_receiver() as hanging:
        hanging.hold.clear()
        with Hook(service, webhook(hanging.url, timeout=1), webhook(receiver.url)):
            for _ in range(8):
                run(client, by_year)
            wait_until(lambda: len(receiver.received) == 8, WAIT_S, "the other channel to be told of all")
            assert not hanging.hold.is_set()
        hanging.hold.set()


def test_slack_and_mail_are_told_too(
    service: Stack, client: httpx.Client, by_year: str, receiver: Receiver, mailbox: Any
) -> None:
    slack = {"channel": "slack", "configs": {"webhook_url": receiver.url, "channel": "#ops"}}
    mail = {"channel": "email", "configs": {"to_addresses": ["a@example.com"]}}
    with Hook(service, slack, mail) as hook:
        execution_id = run(client, by_year)["execution_id"]
        assert [each["status"] for each in hook.settled(2)] == ["delivered"] * 2
    [message] = receiver.bodies()
    assert message["channel"] == "#ops"
    assert f"execution {execution_id} is completed" in message["text"]
    envelope = mailbox[1].get(timeout=10)
    assert envelope.rcpt_tos == ["a@example.com"]
    assert execution_id.encode() in envelope.content


def test_while_a_secret_is_rotated_both_verify(service: Stack, receiver: Receiver) -> None:
    with Hook(service, webhook(receiver.url)) as hook:
        new = hook.post("/rotate-secret", grace_period_s=3600)["signing_secret"]
        hook.post("/test")
        hook.settled()
        newest = hook.post("/rotate-secret", grace_period_s=0)["signing_secret"]
        hook.post("/test")
        hook.settled(2)
    first, second = receiver.received
    for secret in (SECRET, new):
        assert Webhook(secret).verify(first.body, first.headers)["event_type"] == "webhook.test"
    accepted = second.headers["webhook-signature"].split(" ")
    assert len(accepted) == 2  # the newest, and the first one, whose grace goes on
    assert Webhook(newest).verify(second.body, second.headers)


def test_an_internal_name_is_refused_at_delivery(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> None:
    """What a name stands for only the worker sees; here the API lets it through and the worker does not."""
    with stack(tmp_path_factory.mktemp("guarded"), KENNEL_OUTBOUND_ALLOW="localhost") as service:
        service.start_worker("w1", KENNEL_OUTBOUND_ALLOW="")
        with Hook(service, webhook(receiver.url.replace("127.0.0.1", "localhost"))) as hook:
            hook.post("/test")
            [delivery] = hook.settled()
    [attempt] = delivery["attempts"]
    assert (delivery["status"], attempt["status_code"]) == ("failed", None)
    assert "internal address" in attempt["error"]
    assert receiver.received == []


def test_a_killed_workers_delivery_is_made_by_another(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> None:
    """At least once: the same event id, twice."""
    receiver.hold.clear()
    with stack(tmp_path_factory.mktemp("killed"), KENNEL_OUTBOUND_ALLOW="127.0.0.1") as service:
        worker = service.start_worker("w1")
        with Hook(service, webhook(receiver.url, timeout=2)) as hook:
            hook.post("/test")
            wait_until(lambda: receiver.received, WAIT_S, "the delivery to begin")
            kill(worker)
            receiver.hold.set()
            service.start_worker("w2")
            [delivery] = hook.settled()
    assert (delivery["status"], delivery["tries"]) == ("delivered", 2)
    assert [each["error"] for each in delivery["attempts"]] == ["the worker that sent it was lost", None]
    assert [each.headers["webhook-id"] for each in receiver.received] == [delivery["event_id"]] * 2


def test_secrets_are_in_no_log(service: Stack, client: httpx.Client, by_year: str) -> None:
    with Hook(service, webhook(f"http://127.0.0.1:{free_port()}/hidden-path")) as hook:
        run(client, by_year)
        wait_until(lambda: hook.deliveries() and hook.deliveries()[0]["attempts"], WAIT_S, "a try")
    logs = "".join(path.read_text() for path in service.directory.glob("*.log"))
    assert "delivery.postponed" in logs
    assert SECRET not in logs and "hidden-path" not in logs
