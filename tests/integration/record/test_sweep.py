"""The sweep: ends dead leases, sends lost messages again, and holds still after a gap."""

from __future__ import annotations

import orjson
import redis

from shared.broker import QUEUE_NORMAL
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import Submit, answer

LEASES = "kennel:leases"
MARKS = f"kennel:marks:{QUEUE_NORMAL}"


def run_out(client: redis.Redis, *execution_ids: str) -> None:
    client.zadd(LEASES, {execution_id: 1 for execution_id in execution_ids})


def turn_marks(client: redis.Redis, ledger: Ledger) -> int:
    """One sweep as if a window had passed; returns how many messages were sent again."""
    if client.exists(MARKS):
        client.hset(MARKS, "at_ms", 1)
    return ledger.sweep().sent_again


def test_an_ended_lease_puts_the_execution_back(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    ledger.claim("exec_a")
    client.delete(QUEUE_NORMAL)
    assert ledger.sweep().requeued == 0
    run_out(client, "exec_a")
    assert ledger.sweep().requeued == 1
    seen = orjson.loads(answer(client, "exec_a"))
    assert (seen["status"], seen["attempt"], seen["current_stage"]) == ("pending", 1, None)
    assert b'"exec_a"' in client.lindex(QUEUE_NORMAL, 0)
    assert client.zcard(LEASES) == 0


def test_attempts_are_capped(client: redis.Redis, settings: Settings, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    for _ in range(settings.max_attempts):
        assert ledger.claim("exec_a") is not None
        run_out(client, "exec_a")
        report = ledger.sweep()
    assert (report.requeued, report.failed) == (0, 1)
    seen = orjson.loads(answer(client, "exec_a"))
    assert seen["status"] == "failed"
    assert "lost 3 times" in seen["error"]
    assert client.exists("kennel:sum:exec_a")


def test_after_a_gap_no_lease_ends_until_everybody_could_heartbeat(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    ledger.claim("exec_a")
    ledger.sweep()
    client.hset("kennel:sweep", "last_ms", 1)
    run_out(client, "exec_a")
    report = ledger.sweep()
    assert report.held
    assert report.requeued == 0
    client.hset("kennel:sweep", "hold_until_ms", 1)
    assert ledger.sweep().requeued == 1


def test_a_clock_that_went_back_counts_as_a_gap(client: redis.Redis, ledger: Ledger) -> None:
    client.hset("kennel:sweep", "last_ms", "9999999999999")
    assert ledger.sweep().held


def test_a_lost_message_is_sent_again_once_the_queue_has_passed_it(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    submit("exec_b")
    assert turn_marks(client, ledger) == 0
    client.rpop(QUEUE_NORMAL)  # exec_a: popped by a worker that dies before it claims
    assert turn_marks(client, ledger) == 0  # it may still be on its way
    assert turn_marks(client, ledger) == 1
    assert b'"exec_a"' in client.lindex(QUEUE_NORMAL, -1)
    assert turn_marks(client, ledger) == 0


def test_the_last_message_can_be_lost_too(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    turn_marks(client, ledger)
    client.delete(QUEUE_NORMAL)
    assert turn_marks(client, ledger) == 0
    assert turn_marks(client, ledger) == 1


def test_waiting_messages_are_never_doubled(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    for _ in range(30):
        submit()
    assert sum(turn_marks(client, ledger) for _ in range(5)) == 0
    assert client.llen(QUEUE_NORMAL) == 30


def test_a_foreign_message_at_the_tail_stops_the_search_only(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    client.rpush(QUEUE_NORMAL, "not ours")
    assert sum(turn_marks(client, ledger) for _ in range(3)) == 0


def test_marks_start_anew_when_the_sequence_went_back(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    turn_marks(client, ledger)
    client.hset(MARKS, mapping={"old": "8" * 16, "current": "8" * 16})
    assert turn_marks(client, ledger) == 0
    assert int(client.hget(MARKS, "current")) < 8_000_000_000_000_000


def test_a_full_pass_says_that_there_is_more(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    ids = [f"exec_{n}" for n in range(250)]
    for execution_id in ids:
        submit(execution_id)
        ledger.claim(execution_id)
    run_out(client, *ids)
    reports = [ledger.sweep() for _ in range(3)]
    assert [report.requeued for report in reports] == [100, 100, 50]
    assert [report.more for report in reports] == [True, True, False]


def test_silent_workers_leave_the_list(client: redis.Redis, ledger: Ledger) -> None:
    ledger.heartbeat([], patience_s=0)
    client.zadd("kennel:workers", {"long-gone": 1})
    ledger.sweep()
    assert client.zrange("kennel:workers", 0, -1) == [b"worker-a"]


def test_a_worker_is_told_what_its_own_processes_hold(
    client: redis.Redis, settings: Settings, submit: Submit
) -> None:
    ours = Ledger(client, settings, "worker-a", "worker-a/machine/1")
    others = Ledger(client, settings, "worker-aa", "worker-aa/machine/2")
    submit("exec_a")
    submit("exec_b")
    ours.claim("exec_a")
    others.claim("exec_b")
    assert ours.sweep().held_by_worker == (("exec_a", 1, "worker-a/machine/1"),)
    assert others.sweep().held_by_worker == (("exec_b", 1, "worker-aa/machine/2"),)


def test_what_is_abandoned_runs_again_at_the_next_sweep(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    ledger.claim("exec_a")
    assert not ledger.abandon("exec_a", 2)
    assert ledger.abandon("exec_a", 1)
    assert ledger.sweep().requeued == 1
    assert not ledger.abandon("exec_a", 1)
