"""Deliveries in Redis: announced with the end of an execution, taken in turns, leased, settled, kept."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import redis

from shared import broker
from shared.models.channel import Channels, SlackChannel, WebhookChannel
from shared.models.delivery import Attempt, TakenDelivery
from shared.models.webhook import Webhook
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.delivery_queue import DeliveryQueue
from shared.stores.ledger import Ledger
from shared.stores.webhooks import put_arguments
from shared.vault import Vault
from tests.integration.record.conftest import Submit, outcome
from tests.waiting import wait_until

WEBHOOK_ID = "wh_0123456789abcdef"
BOTH = ("resource.executed", "resource.execution_failed")
WELL = Attempt(attempted_at="2026-01-01T00:00:00.000Z", duration_ms=5, status_code=200)
TTL_S = 30 * 86_400
PERMANENT = {"kennel:lanes", "kennel:webhooks", "kennel:deliver_message", "kennel.deliver"}
HOOKS: Channels = (
    WebhookChannel(url="https://example.com/"),
    SlackChannel(webhook_url="https://example.com/"),
)


@pytest.fixture
def queue(client: redis.Redis, settings: Settings) -> DeliveryQueue:
    return DeliveryQueue(client, settings, Vault(settings.data_dir))


def webhook(webhook_id: str = WEBHOOK_ID, **over: Any) -> Webhook:
    values: dict[str, Any] = {
        "webhook_id": webhook_id,
        "webhook_name": "w",
        "event_types": BOTH,
        "sealed_channels": "sealed",
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        **over,
    }
    return Webhook(**values)


def put(client: redis.Redis, made: Webhook, channels: Channels = HOOKS[:1], version: int = 0) -> bytes:
    word: bytes = fcall(client, "put_webhook", *put_arguments(made, channels, version))
    return word


def send(client: redis.Redis, event: str, *lanes: str) -> list[bytes]:
    """An event to these lanes, with a timeout of a second."""
    flat = [part for lane in lanes for part in (lane, 1000)]
    ids: list[bytes] = fcall(client, "deliver", event, "webhook.test", b"{}", *flat)
    return ids


def taken(queue: DeliveryQueue) -> TakenDelivery:
    found = queue.take()
    assert found is not None
    return found


def record(client: redis.Redis, delivery_id: str) -> dict[str, str]:
    return {
        name.decode(): value.decode()
        for name, value in client.hgetall(f"kennel:delivery:{delivery_id}").items()
    }


def run(ledger: Ledger, submit: Submit, status: str = "completed", **over: Any) -> None:
    """Submit exec_1 and finish it."""
    submit()
    claim = ledger.claim("exec_1")
    assert claim is not None
    ledger.finish(claim, outcome(status, **over), claim_next=False)


@pytest.mark.parametrize(
    ("status", "error", "event_type"),
    [
        ("completed", None, "resource.executed"),
        ("degraded", None, "resource.executed"),
        ("failed", 'it "broke"', "resource.execution_failed"),
    ],
)
def test_an_end_is_announced_with_it(
    client: redis.Redis,
    ledger: Ledger,
    submit: Submit,
    queue: DeliveryQueue,
    status: str,
    error: Any,
    event_type: str,
) -> None:
    put(client, webhook())
    run(ledger, submit, status, error=error)
    found = taken(queue)
    assert (found.delivery_id, found.event_id) == (f"dlv_1_{WEBHOOK_ID}_0", "evt_1")
    assert (str(found.lane), found.event_type, found.tries, found.timeout_s) == (
        f"{WEBHOOK_ID}/0",
        event_type,
        1,
        10,
    )
    payload = orjson.loads(found.payload)
    times = {name: payload.pop(name) for name in ("timestamp", "created_at", "completed_at", "duration_ms")}
    assert times["created_at"] <= times["completed_at"] == times["timestamp"]
    assert payload == {
        "event_id": "evt_1",
        "event_type": event_type,
        "namespace_id": "ns_1",
        "resource_type": "retriever",
        "resource_id": "ret_1",
        "execution_id": "exec_1",
        "status": status,
        "error": error,
        "stages_completed": 3,
    }
    assert queue.take() is None


def test_a_cancelled_execution_has_not_been_executed(
    client: redis.Redis, ledger: Ledger, submit: Submit, queue: DeliveryQueue
) -> None:
    put(client, webhook())
    submit()
    for _ in range(2):
        ledger.cancel("exec_1", "enough")
    found = taken(queue)
    payload = orjson.loads(found.payload)
    assert (found.event_type, payload["status"], payload["error"]) == (
        "resource.execution_failed",
        "cancelled",
        "enough",
    )
    assert queue.take() is None


def test_a_finish_that_is_repeated_announces_nothing_more(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    put(client, webhook(), HOOKS)
    submit()
    claim = ledger.claim("exec_1")
    assert claim is not None
    for _ in range(2):
        assert ledger.finish(claim, outcome(), claim_next=False)[0]
    assert client.zcard(f"kennel:deliveries:{WEBHOOK_ID}") == 2  # one for each channel


@pytest.mark.parametrize(
    "unwanted",
    [
        webhook(is_active=False),
        webhook(event_types=("resource.execution_failed",)),
        webhook(resource_types=("taxonomy",)),
    ],
)
def test_who_does_not_want_it_is_not_told(
    client: redis.Redis, ledger: Ledger, submit: Submit, unwanted: Webhook
) -> None:
    put(client, unwanted)
    run(ledger, submit)
    assert not list(client.scan_iter("kennel:deliver*"))


def test_without_a_webhook_an_end_costs_one_command_more(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit()
    claim = ledger.claim("exec_1")
    assert claim is not None
    client.config_resetstat()
    ledger.finish(claim, outcome(), claim_next=False)
    calls = client.info("commandstats")
    assert calls["cmdstat_hgetall"]["calls"] == 1  # who is told of it
    assert "cmdstat_llen" not in calls
    assert not list(client.scan_iter("kennel:deliver*"))


def test_a_changed_webhook_is_told_as_it_is_now(
    client: redis.Redis, ledger: Ledger, submit: Submit, queue: DeliveryQueue
) -> None:
    first = webhook()
    assert put(client, first, HOOKS) == put(client, first, HOOKS) == b"stored"  # resent
    assert put(client, webhook(webhook_name="late"), HOOKS) == b"stale"
    assert put(client, webhook(event_types=BOTH[:1]), HOOKS[:1], version=1) == b"stored"
    assert client.hgetall("kennel:subscribers:resource.executed") == {f"{WEBHOOK_ID}/0".encode(): b"10000"}
    assert not client.exists("kennel:subscribers:resource.execution_failed")
    assert fcall(client, "delete_webhook", WEBHOOK_ID, 10) == 1
    assert fcall(client, "delete_webhook", WEBHOOK_ID, 10) == 0
    run(ledger, submit)
    assert queue.take() is None
    assert not list(client.scan_iter("kennel:webhook*")) and not list(client.scan_iter("kennel:subscribers*"))


def test_there_are_at_most_a_hundred(client: redis.Redis) -> None:
    words = [put(client, webhook(f"wh_{number:016x}")) for number in range(101)]
    assert words == [b"stored"] * 100 + [b"full"]


def test_delivered_is_the_end(client: redis.Redis, queue: DeliveryQueue) -> None:
    [delivery_id] = send(client, "evt_a", "wh_a/0")
    assert send(client, "evt_a", "wh_a/0") == [delivery_id]  # announced again: the same delivery
    found = taken(queue)
    assert queue.settle(found, "delivered", WELL)
    assert not queue.settle(found, "failed", WELL)
    assert queue.take() is None
    kept = record(client, found.delivery_id)
    assert (kept["status"], kept["tries"], "next_ms" in kept) == ("delivered", "1", False)
    assert client.zrange("kennel:deliveries:wh_a:delivered", 0, -1) == [delivery_id]
    assert not client.exists("kennel:deliveries:wh_a:pending", "kennel:lanes", "kennel:due:wh_a/0")


def test_a_failed_try_waits_and_keeps_its_event_id(client: redis.Redis, queue: DeliveryQueue) -> None:
    send(client, "evt_a", "wh_a/0")
    first = taken(queue)
    assert queue.settle(first, "pending", WELL, delay_s=1000, cause="the receiver answered 500")
    assert queue.take() is None
    client.zadd("kennel:due:wh_a/0", {first.delivery_id: 0})  # its time has come
    client.zadd("kennel:lanes", {"wh_a/0": 0})
    second = taken(queue)
    assert (second.event_id, second.tries, second.epoch) == ("evt_a", 2, 2)
    health = client.hgetall("kennel:health:wh_a")
    assert (health[b"consecutive_failures"], health[b"last_failure_cause"]) == (
        b"1",
        b"the receiver answered 500",
    )
    queue.settle(second, "delivered", WELL)
    assert not client.exists("kennel:health:wh_a")
    assert client.llen(f"kennel:delivery:{first.delivery_id}:attempts") == 2


def test_lanes_take_turns_and_one_that_fails_sends_one_at_a_time(
    client: redis.Redis, queue: DeliveryQueue
) -> None:
    for number in range(20):
        send(client, f"evt_{number}", "wh_slow/0")
    send(client, "evt_x", "wh_well/0")
    held = [taken(queue) for _ in range(5)]
    lanes = [str(each.lane) for each in held]
    assert sorted(lanes) == ["wh_slow/0"] * 4 + ["wh_well/0"]
    assert queue.take() is None  # the slow one has as many on their way as it may
    slow = [each for each in held if str(each.lane) == "wh_slow/0"]
    queue.settle(slow[0], "pending", WELL, delay_s=1000, cause="away")
    assert queue.take() is None
    for each in slow[1:]:
        queue.settle(each, "pending", WELL, delay_s=1000, cause="away")
    assert str(taken(queue).lane) == "wh_slow/0"
    assert queue.take() is None


def test_a_dead_workers_delivery_is_taken_again(client: redis.Redis, server_url: str) -> None:
    hasty = Settings(redis_url=server_url, lease_ms=500, heartbeat_ms=100)
    queue = DeliveryQueue(client, hasty, Vault(hasty.data_dir))
    fcall(client, "deliver", "evt_a", "webhook.test", b"{}", "wh_a/0", 0)
    first = taken(queue)
    assert queue.take() is None
    second = wait_until(queue.take, 10, "the lease to end")
    assert (second.delivery_id, second.event_id, second.tries) == (first.delivery_id, "evt_a", 2)
    assert not queue.settle(first, "delivered", WELL)  # the first worker was only slow
    assert queue.settle(second, "delivered", WELL)
    lost, told = map(orjson.loads, client.lrange(f"kennel:delivery:{first.delivery_id}:attempts", 0, -1))
    assert (lost["error"], told["error"]) == ("the worker that sent it was lost", None)


def test_a_delivery_that_kills_its_workers_is_given_up(client: redis.Redis, server_url: str) -> None:
    hasty = Settings(redis_url=server_url, lease_ms=500, heartbeat_ms=100, delivery_attempts=1)
    queue = DeliveryQueue(client, hasty, Vault(hasty.data_dir))
    fcall(client, "deliver", "evt_a", "webhook.test", b"{}", "wh_a/0", 0)
    found = taken(queue)

    def status() -> bool:
        assert queue.take() is None
        return record(client, found.delivery_id)["status"] == "failed"

    wait_until(status, 10, "the lease to end")


def test_it_can_be_sent_again(client: redis.Redis, queue: DeliveryQueue) -> None:
    send(client, "evt_a", "wh_a/0")
    found = taken(queue)
    assert fcall(client, "redeliver", found.delivery_id, "wh_a") == b"sending"
    queue.settle(found, "failed", WELL)
    assert fcall(client, "redeliver", found.delivery_id, "wh_other") == b"missing"
    assert fcall(client, "redeliver", found.delivery_id, "wh_a") == b"pending"
    again = taken(queue)
    assert (again.event_id, again.tries, again.epoch) == ("evt_a", 1, 2)
    assert fcall(client, "redeliver", "dlv_none", "wh_a") == b"missing"


def test_a_webhook_that_is_gone_leaves_nothing_to_send(client: redis.Redis, queue: DeliveryQueue) -> None:
    put(client, webhook())
    send(client, "evt_a", f"{WEBHOOK_ID}/0")
    send(client, "evt_b", f"{WEBHOOK_ID}/0")
    found = taken(queue)
    assert fcall(client, "delete_webhook", WEBHOOK_ID, 10) == 1
    assert queue.channel(found) is None
    assert queue.settle(found, "failed", WELL)  # it was on its way
    assert queue.take() is None


def test_a_pause_keeps_the_rest(client: redis.Redis, queue: DeliveryQueue) -> None:
    put(client, webhook())
    queue.pause(WEBHOOK_ID, "gone")
    queue.pause("wh_none", "gone")
    version, body, _ = fcall(client, "read_webhook", WEBHOOK_ID)
    paused = Webhook.model_validate_json(body)
    assert (version, paused.is_active, paused.paused_reason) == (b"2", False, "gone")
    assert paused.event_types == BOTH
    assert not list(client.scan_iter("kennel:subscribers*"))


def test_the_oldest_leave_when_there_are_too_many(client: redis.Redis, queue: DeliveryQueue) -> None:
    with client.pipeline(transaction=False) as pipe:
        name = send(client, "evt_0", "wh_a/0") and "deliver"
        for number in range(1, 10_003):
            fcall(pipe, name, f"evt_{number}", "webhook.test", b"{}", "wh_a/0", 1000)
        pipe.execute()
    assert client.zcard("kennel:deliveries:wh_a") <= 10_000
    assert client.zcard("kennel:due:wh_a/0") == client.zcard("kennel:deliveries:wh_a:pending") <= 10_000
    assert client.exists("kennel:delivery:dlv_10002_wh_a_0")


def test_a_page_goes_on_behind_the_last_one_seen(client: redis.Redis) -> None:
    ids = [send(client, f"evt_{number}", "wh_a/0")[0] for number in range(5)]
    client.delete("kennel:deliveries:wh_a")
    client.zadd("kennel:deliveries:wh_a", {each: 2e12 + number for number, each in enumerate(ids)})
    newest = ids[::-1]

    def page(offset: int, behind: bytes = b"") -> list[bytes]:
        _, _, *found = fcall(client, "list_deliveries", "wh_a", "", offset, 2, behind)
        return [each[0] for each in found]

    assert (page(0), page(2), page(4)) == (newest[:2], newest[2:4], newest[4:])
    assert page(0, behind=newest[1]) == newest[2:4]
    assert page(3, behind=b"dlv_gone") == newest[3:]


def test_a_sweep_wakes_a_sender_for_what_is_due(client: redis.Redis, queue: DeliveryQueue) -> None:
    assert queue.sweep() == 0
    send(client, "evt_a", "wh_a/0")  # wakes one itself, now that the template is there
    assert client.llen(broker.QUEUE_DELIVER) == 1
    message = orjson.loads(client.rpop(broker.QUEUE_DELIVER) or b"")
    assert (message["headers"]["task"], message["properties"]["delivery_tag"]) == (
        broker.DELIVER_TASK,
        message["headers"]["id"],
    )
    assert [queue.sweep() for _ in range(20)] == [1] * 16 + [0] * 4  # no more than can be of use
    client.delete(broker.QUEUE_DELIVER)
    queue.settle(taken(queue), "delivered", WELL)
    assert queue.sweep() == 0


def test_every_key_ends_or_is_bounded(client: redis.Redis, queue: DeliveryQueue) -> None:
    put(client, webhook(), HOOKS)
    queue.sweep()
    for event in ("evt_a", "evt_b"):
        send(client, event, f"{WEBHOOK_ID}/0", f"{WEBHOOK_ID}/1")
    queue.settle(taken(queue), "failed", WELL, cause="x")
    taken(queue)
    for key in client.scan_iter("*deliver*"):
        if key.decode() not in PERMANENT:
            assert 0 < client.ttl(key) <= TTL_S, key
    assert 0 < client.ttl(f"kennel:health:{WEBHOOK_ID}") <= TTL_S
