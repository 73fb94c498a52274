"""Claim, heartbeat, progress, finish, release, cancel: one word each, and fencing between attempts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
import redis

from shared.broker import QUEUE_NORMAL
from shared.models.execution import Claim
from shared.redis_sync import fcall
from shared.result_chunks import packed
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import DETAIL, RETRIEVER, Submit, answer, outcome

LEASES = "kennel:leases"


def claimed(ledger: Ledger, submit: Submit, execution_id: str = "exec_a") -> Claim:
    submit(execution_id)
    claim = ledger.claim(execution_id)
    assert claim is not None
    return claim


def state(client: redis.Redis, execution_id: str) -> dict[str, object]:
    seen: dict[str, object] = orjson.loads(answer(client, execution_id))
    return seen


def let_lease_end(client: redis.Redis, ledger: Ledger, execution_id: str) -> None:
    client.zadd(LEASES, {execution_id: 1})
    assert ledger.sweep().requeued == 1


def test_one_of_many_claims_succeeds(ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    with ThreadPoolExecutor(20) as pool:
        claims = list(pool.map(lambda _: ledger.claim("exec_a"), range(50)))
    assert sum(claim is not None for claim in claims) == 1


def test_claim_answers(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    first = fcall(client, "claim", "exec_a", "nonce", "w", 10_000)
    assert first[0] == b"claimed"
    assert fcall(client, "claim", "exec_a", "nonce", "w", 10_000) == first
    assert fcall(client, "claim", "exec_a", "other", "w", 10_000) == [b"busy"]
    assert fcall(client, "claim", "exec_none", "nonce", "w", 10_000) == [b"missing"]
    claim = Claim("exec_a", 1, 1, 0, RETRIEVER, 1, "ns_1", None)  # type: ignore[arg-type]
    ledger.finish(claim, outcome(), claim_next=False)
    assert fcall(client, "claim", "exec_a", "nonce", "w", 10_000) == [b"terminal"]


def test_a_claim_shows_the_first_stage(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    claimed(ledger, submit)
    seen = state(client, "exec_a")
    assert (seen["status"], seen["current_stage"], seen["attempt"]) == ("processing", "first", 1)
    assert seen["started_at"] is not None


def test_heartbeat_renews_what_is_held_and_names_what_is_lost(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    claimed(ledger, submit)
    client.zadd(LEASES, {"exec_a": 1})
    assert ledger.heartbeat([("exec_a", 1), ("exec_none", 1)], patience_s=0) == ["exec_none"]
    assert client.zscore(LEASES, "exec_a") > 1
    assert client.zrange("kennel:workers", 0, -1) == [b"worker-a"]
    assert ledger.heartbeat([("exec_a", 2)], patience_s=0) == ["exec_a"]


def test_progress_is_seen_in_order(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    claim = claimed(ledger, submit)
    assert ledger.progress(claim, 2, "third", 2, DETAIL, b'"credits_used":0')
    args = ("exec_a", 1, 1, '"second"', 1, DETAIL, "")
    assert fcall(client, "progress", *args) == b"old"
    seen = state(client, "exec_a")
    assert (seen["current_stage"], seen["stages_completed"], seen["revision"]) == ("third", 2, 3)


def test_an_older_attempt_can_write_nothing(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    stale = claimed(ledger, submit)
    let_lease_end(client, ledger, "exec_a")
    before = client.hgetall("kennel:exec:exec_a")
    for _ in range(2):  # while it is pending, and while another attempt runs it
        assert not ledger.progress(stale, 1, "second", 1, DETAIL, b"")
        assert ledger.finish(stale, outcome(), claim_next=False) == (False, None)
        assert not ledger.release(stale, patience_s=0)
        assert client.hgetall("kennel:exec:exec_a") == before
        fresh = ledger.claim("exec_a")
        assert fresh is None or fresh.epoch == 2
        before = client.hgetall("kennel:exec:exec_a")
    assert state(client, "exec_a")["attempt"] == 2


def test_the_terminal_state_is_written_once(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    claim = claimed(ledger, submit)
    assert ledger.finish(claim, outcome("failed", error="stage failed"), claim_next=False) == (True, None)
    before = client.hgetall("kennel:exec:exec_a")
    assert ledger.finish(claim, outcome("completed"), claim_next=False) == (True, None)
    assert client.hgetall("kennel:exec:exec_a") == before
    seen = state(client, "exec_a")
    assert (seen["status"], seen["error"], seen["current_stage"]) == ("failed", "stage failed", None)


def test_finish_takes_the_next_and_a_repeated_call_gets_the_same(
    client: redis.Redis, settings: Settings, ledger: Ledger, submit: Submit
) -> None:
    claimed(ledger, submit)
    submit("exec_b")
    submit("exec_c")
    client.rpop(QUEUE_NORMAL)  # the message of exec_a, as Celery would have taken it
    retention = (settings.result_ttl_s, settings.summary_ttl_s, settings.history_max)
    args = ("exec_a", 1, "completed", "null", 3, DETAIL, '"credits_used":0', *retention)
    first = fcall(client, "finish", *args, QUEUE_NORMAL, "nonce", "w", 10_000, 4, "", 0, 0)
    assert first[:3] == [b"finished", b"claimed", b"exec_b"]
    again = fcall(client, "finish", *args, QUEUE_NORMAL, "nonce", "w", 10_000, 4, "", 0, 0)
    assert again == [b"already", *first[1:]]
    other = fcall(client, "finish", *args, QUEUE_NORMAL, "another", "w", 10_000, 4, "", 0, 0)
    assert other == [b"already"]
    assert client.llen(QUEUE_NORMAL) == 1


def test_finish_skips_messages_of_ended_executions(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    claim = claimed(ledger, submit)
    submit("exec_b")
    assert ledger.cancel("exec_b", "not needed") == "cancelled"
    submit("exec_c")
    _, following = ledger.finish(claim, outcome(), claim_next=True)
    assert following is not None
    assert following.execution_id == "exec_c"


def test_a_foreign_message_is_put_back(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    claim = claimed(ledger, submit)
    client.delete(QUEUE_NORMAL)
    client.rpush(QUEUE_NORMAL, "not ours")
    assert ledger.finish(claim, outcome(), claim_next=True) == (True, None)
    assert client.lrange(QUEUE_NORMAL, 0, -1) == [b"not ours"]


def test_results_over_a_page_are_kept_whole_and_everything_expires(
    client: redis.Redis, settings: Settings, ledger: Ledger, submit: Submit
) -> None:
    claim = claimed(ledger, submit)
    rows = [b'{"n":%d}' % n for n in range(2500)]
    ledger.finish(claim, outcome(documents=rows), claim_next=False)
    assert client.lrange("kennel:docs:exec_a", 0, -1) == packed(rows)
    assert 0 < client.ttl("kennel:docs:exec_a") <= settings.result_ttl_s
    assert 0 < client.ttl("kennel:exec:exec_a") <= settings.result_ttl_s
    assert settings.result_ttl_s < client.ttl("kennel:sum:exec_a") <= settings.summary_ttl_s
    assert state(client, "exec_a")["expires_at"] is not None


def test_a_released_execution_is_next_and_not_counted(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    claim = claimed(ledger, submit)
    submit("exec_b")
    assert ledger.release(claim, patience_s=0)
    assert b'"exec_a"' in client.lindex(QUEUE_NORMAL, -1)
    assert state(client, "exec_a")["attempt"] == 0
    again = ledger.claim("exec_a")
    assert again is not None
    assert (again.epoch, again.attempt) == (2, 1)


@pytest.mark.parametrize("word", ["cancelled", "running", "terminal", "missing"])
def test_cancel_answers(client: redis.Redis, ledger: Ledger, submit: Submit, word: str) -> None:
    if word != "missing":
        submit("exec_a")
    if word in ("running", "terminal"):
        claim = ledger.claim("exec_a")
        assert claim is not None
        if word == "terminal":
            ledger.finish(claim, outcome(), claim_next=False)
    assert ledger.cancel("exec_a", "because") == word
    if word == "cancelled":
        seen = state(client, "exec_a")
        assert (seen["status"], seen["error"]) == ("cancelled", "because")
        assert client.zcard(f"kennel:pending:{QUEUE_NORMAL}") == 0


def test_run_time_adds_up_over_attempts(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    claimed(ledger, submit)
    earlier = int(client.hget("kennel:exec:exec_a", "claimed_ms")) - 7_000
    client.hset("kennel:exec:exec_a", "claimed_ms", earlier)
    let_lease_end(client, ledger, "exec_a")
    again = ledger.claim("exec_a")
    assert again is not None
    assert again.spent_ms >= 7_000
    ledger.finish(again, outcome(), claim_next=False)
    summary = orjson.loads(fcall(client, "tombstone", "exec_a"))
    assert summary["duration_ms"] >= 7_000


def test_changes_wake_the_watchers_only(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    subscription = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("kennel:wake:api-1", "kennel:wake:api-2")
    submit("exec_a", watcher="api-1")
    submit("exec_b")
    for name in ("exec_a", "exec_b"):
        claim = ledger.claim(name)
        assert claim is not None
        fcall(client, "watch", name, "api-2")
        ledger.finish(claim, outcome(), claim_next=False)
    seen = []
    for _ in range(10):  # subscribing itself leaves two empty ones
        if message := subscription.get_message(timeout=0.1):
            seen.append((message["channel"][-5:], message["data"]))
    subscription.close()
    assert seen == [
        (b"api-1", b"exec_a 2 processing"),
        (b"api-1", b"exec_a 3 completed"),
        (b"api-2", b"exec_a 3 completed"),
        (b"api-2", b"exec_b 3 completed"),
    ]
