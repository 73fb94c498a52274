"""An execution whose stage failed for now: it waits without a message, and only the sweep ends that."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from shared.broker import QUEUE_NORMAL
from shared.models.execution import Claim, figures
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import DETAIL, Submit, outcome

DELAYED = "kennel:delayed"
PENDING = f"kennel:pending:{QUEUE_NORMAL}"


def claimed(client: redis.Redis, ledger: Ledger, execution_id: str = "exec_a") -> Claim:
    """With its message taken, as a worker has it."""
    claim = ledger.claim(execution_id)
    assert claim is not None
    client.delete(QUEUE_NORMAL)
    return claim


def retry(ledger: Ledger, claim: Claim, delay_ms: int = 60_000) -> bool:
    return ledger.retry(claim, delay_ms, 1, DETAIL, figures(credits_used=0.5))


def come_due(client: redis.Redis, execution_id: str = "exec_a") -> None:
    client.zadd(DELAYED, {execution_id: 1})


def state(client: redis.Redis, execution_id: str = "exec_a") -> dict[str, Any]:
    raw = client.hget(f"kennel:exec:{execution_id}", "state")
    found: dict[str, Any] = orjson.loads(b"{" + raw[1:] + b"}")
    return found


def test_it_waits_and_says_until_when(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = claimed(client, ledger)
    assert retry(ledger, claim)
    now = state(client)
    assert (now["status"], now["attempt"], now["stages_completed"]) == ("pending", 1, 1)
    assert (now["current_stage"], now["error"]) == (None, None)
    assert now["retry_at"] > now["started_at"]
    assert client.zcard("kennel:leases") == client.llen(QUEUE_NORMAL) == 0
    assert client.zscore(PENDING, "exec_a") == 1000 * client.zscore(DELAYED, "exec_a")
    assert client.zscore("kennel:hist:ret_1:pending", "exec_a")


def test_nothing_but_its_time_ends_the_wait(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    retry(ledger, claimed(client, ledger))
    submit("exec_b")
    for _ in range(3):  # three windows: a message would be lost by now
        if client.exists(marks := f"kennel:marks:{QUEUE_NORMAL}"):
            client.hset(marks, "at_ms", 1)
        report = ledger.sweep()
        assert (report.sent_again, report.retried) == (0, 0)
    assert ledger.claim("exec_a") is None
    assert state(client)["retry_at"]


def test_a_finish_takes_no_waiting_one_next(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    submit("exec_b")
    first = ledger.claim("exec_a")
    second = ledger.claim("exec_b")
    assert first is not None and second is not None
    retry(ledger, first)  # the message of exec_a is still in the queue: it was sent twice
    assert ledger.finish(second, outcome(), claim_next=True) == (True, None)


def test_the_sweep_puts_it_back_when_due(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    first = claimed(client, ledger)
    retry(ledger, first)
    before = state(client)["revision"]
    come_due(client)
    assert ledger.sweep().retried == 1
    assert ledger.sweep().retried == 0
    assert (state(client)["revision"], state(client).get("retry_at")) == (before + 1, None)
    assert b'"exec_a"' in client.lindex(QUEUE_NORMAL, 0)
    assert client.exists(DELAYED) == 0
    again = ledger.claim("exec_a")
    assert again is not None
    assert (again.epoch, again.attempt, again.retries, first.retries) == (2, 2, 1, 0)


def test_a_repeated_retry_is_one(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = claimed(client, ledger)
    assert retry(ledger, claim)
    first = state(client)
    assert retry(ledger, claim, delay_ms=1)
    assert state(client) == first
    assert client.hget("kennel:exec:exec_a", "retries") == b"1"


def test_another_attempts_retry_is_refused(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    stale = claimed(client, ledger)
    client.zadd("kennel:leases", {"exec_a": 1})
    ledger.sweep()
    assert not retry(ledger, stale)  # pending, but not waiting
    assert ledger.claim("exec_a") is not None
    assert not retry(ledger, stale)
    assert state(client)["status"] == "processing"
    assert client.exists(DELAYED) == 0


def test_a_cancelled_one_waits_no_more(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    retry(ledger, claimed(client, ledger))
    assert ledger.cancel("exec_a", "not wanted") == "cancelled"
    assert (state(client)["status"], state(client).get("retry_at")) == ("cancelled", None)
    assert client.exists(DELAYED) == 0
    come_due(client)
    assert ledger.sweep().retried == 1
    assert client.exists(DELAYED) == client.llen(QUEUE_NORMAL) == 0


def test_retries_do_not_count_against_the_attempts_of_lost_workers(
    client: redis.Redis, settings: Settings, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    for _ in range(settings.max_attempts):
        retry(ledger, claimed(client, ledger))
        come_due(client)
        ledger.sweep()
    for lost in range(1, settings.max_attempts + 1):
        claimed(client, ledger)
        client.zadd("kennel:leases", {"exec_a": 1})
        report = ledger.sweep()
        assert (report.requeued, report.failed) == ((1, 0) if lost < settings.max_attempts else (0, 1))
    assert state(client)["attempt"] == 2 * settings.max_attempts


def test_what_the_sweep_has_lost_of_it_is_a_lost_message(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    """Should its time have come without a word in the list of those that wait, it runs all the same."""
    submit("exec_a")
    retry(ledger, claimed(client, ledger), delay_ms=0)
    client.delete(DELAYED)
    submit("exec_b")
    client.delete(QUEUE_NORMAL)  # later ones are taken
    for _ in range(3):
        if client.exists(marks := f"kennel:marks:{QUEUE_NORMAL}"):
            client.hset(marks, "at_ms", 1)
        ledger.sweep()
    assert any(b'"exec_a"' in message for message in client.lrange(QUEUE_NORMAL, 0, -1))
    assert ledger.claim("exec_a") is not None
    assert state(client).get("retry_at") is None
    assert not client.hexists("kennel:exec:exec_a", "retry_ms")
