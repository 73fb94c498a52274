"""Cancel: the record ends in the same call, whatever its state, and nobody can write to it afterwards."""

from __future__ import annotations

import orjson
import pytest
import redis

from shared import keys
from shared.broker import QUEUE_NORMAL
from shared.models.execution import Claim, figures
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import DETAIL, RETRIEVER, Submit, answer, outcome


@pytest.fixture
def retention(settings: Settings) -> tuple[int, int, int]:
    return settings.result_ttl_s, settings.summary_ttl_s, settings.history_max


def cancel(client: redis.Redis, retention: tuple[int, int, int], which: str = "any") -> list[bytes]:
    reply: list[bytes] = fcall(client, "cancel", "exec_a", '"no"', *retention, which)
    return reply


def running(ledger: Ledger, submit: Submit) -> Claim:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    return claim


def test_what_was_never_submitted_is_missing(client: redis.Redis, retention: tuple[int, int, int]) -> None:
    assert cancel(client, retention) == [b"missing"]
    assert not client.exists(keys.execution("exec_a"))


def test_a_pending_one_leaves_the_queue(
    client: redis.Redis, ledger: Ledger, submit: Submit, retention: tuple[int, int, int]
) -> None:
    submit("exec_a")
    assert cancel(client, retention) == [b"cancelled"]
    assert client.zcard(keys.pending(QUEUE_NORMAL)) == 0
    assert client.zrange(keys.history(RETRIEVER, "pending"), 0, -1) == []
    assert client.zrange(keys.history(RETRIEVER, "cancelled"), 0, -1) == [b"exec_a"]
    assert client.llen(QUEUE_NORMAL) == 1  # the message stays, and wakes nobody
    assert ledger.claim("exec_a") is None


def test_a_running_one_ends_at_once_and_its_worker_is_told(
    client: redis.Redis, settings: Settings, submit: Submit, retention: tuple[int, int, int]
) -> None:
    ledger = Ledger(client, settings, "w", "w/machine/1")
    with client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(keys.stop_channel("w/machine/1"))
        claim = running(ledger, submit)
        ledger.progress(claim, 1, "second", 1, DETAIL, figures(credits_used=0.25))
        assert cancel(client, retention) == [b"stopping", b'"second"']
        told = [subscription.get_message(timeout=0.1) for _ in range(5)]
    assert [each["data"] for each in told if each] == [b"exec_a 1"]
    seen = orjson.loads(answer(client, "exec_a"))
    assert (seen["status"], seen["error"], seen["current_stage"]) == ("cancelled", "no", None)
    assert (seen["stages_completed"], seen["attempt"]) == (1, 1)
    summary = orjson.loads(fcall(client, "tombstone", "exec_a"))
    assert (summary["status"], summary["credits_used"]) == ("cancelled", 0.25)
    assert client.zcard(keys.LEASES) == 0
    assert client.zrange(keys.history(RETRIEVER, "cancelled"), 0, -1) == [b"exec_a"]
    assert 0 < client.ttl(keys.execution("exec_a")) <= settings.result_ttl_s


def test_the_worker_of_a_cancelled_one_can_write_nothing(
    client: redis.Redis, ledger: Ledger, submit: Submit, retention: tuple[int, int, int]
) -> None:
    claim = running(ledger, submit)
    submit("exec_b")
    cancel(client, retention)
    before = client.hgetall(keys.execution("exec_a"))
    assert ledger.heartbeat([("exec_a", 1)], patience_s=0) == ["exec_a"]
    assert not ledger.progress(claim, 9, "third", 2, DETAIL, b"")
    assert ledger.finish(claim, outcome(), claim_next=True) == (False, None)
    assert not ledger.release(claim, patience_s=0)
    assert not ledger.abandon("exec_a", 1)
    ledger.sweep()
    assert client.hgetall(keys.execution("exec_a")) == before
    assert ledger.claim("exec_b") is not None


def test_a_terminal_one_stays_as_it_is(
    client: redis.Redis, ledger: Ledger, submit: Submit, retention: tuple[int, int, int]
) -> None:
    ledger.finish(running(ledger, submit), outcome("degraded"), claim_next=False)
    before = client.hgetall(keys.execution("exec_a"))
    assert cancel(client, retention) == [b"terminal", b"degraded"]
    assert client.hgetall(keys.execution("exec_a")) == before


def test_a_second_cancel_says_terminal(
    client: redis.Redis, submit: Submit, retention: tuple[int, int, int]
) -> None:
    submit("exec_a")
    assert cancel(client, retention) == [b"cancelled"]
    assert cancel(client, retention) == [b"terminal", b"cancelled"]


def test_what_runs_can_be_left_alone(
    client: redis.Redis, ledger: Ledger, submit: Submit, retention: tuple[int, int, int]
) -> None:
    running(ledger, submit)
    assert cancel(client, retention, "pending") == [b"running"]
    assert client.hget(keys.execution("exec_a"), "status") == b"processing"


def test_an_execution_whose_worker_was_lost_is_cancelled_out_of_the_queue(
    client: redis.Redis, ledger: Ledger, submit: Submit, retention: tuple[int, int, int]
) -> None:
    running(ledger, submit)
    client.zadd(keys.LEASES, {"exec_a": 1})
    assert ledger.sweep().requeued == 1
    assert cancel(client, retention) == [b"cancelled"]
    assert client.zcard(keys.pending(QUEUE_NORMAL)) == 0
