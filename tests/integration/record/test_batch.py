"""Batches in Lua: lines once, counters that always balance, and keys that last as long as they are needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from shared import keys
from shared.models.execution import Status
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import Submit, outcome
from tests.integration.record.test_history import PERMANENT

UPLOAD_MS = 60_000
TTL_S, SUMMARY_TTL_S = 1_000, 5_000
NAMES = (
    *("namespace", "created_ms", "started_ms", "ended_ms", "uploading_until_ms", "cancelled_ms", "complete"),
    *("lines", "last_line", "refused", "refused_lines", "older_mark_ms", "older_mark", "submitted"),
    *Status,
    "finished",
)
Begin = Callable[..., list[bytes]]
Line = Callable[..., list[bytes]]


@pytest.fixture
def begin(client: redis.Redis) -> Begin:
    def call(batch: str = "batch_a", key: str = "", body: str = "-", listed: int = 100) -> list[bytes]:
        ttls = (800, TTL_S, SUMMARY_TTL_S)
        reply: list[bytes] = fcall(client, "begin_batch", batch, "ns_1", key, body, *ttls, listed, UPLOAD_MS)
        return reply

    return call


@pytest.fixture
def line(submit: Submit) -> Line:
    def call(number: int, batch: str = "batch_a", digest: str = "d", name: str = "null", **over: Any) -> Any:
        execution_id = over.pop("execution_id", f"exec_{batch}_{number}")
        return submit(execution_id, (batch, number, digest, name, UPLOAD_MS), **over)

    return call


def read(client: redis.Redis, batch: str = "batch_a", watcher: str = "") -> dict[str, str | None]:
    now, *values = fcall(client, "read_batch", batch, watcher)
    fields = [value if value is None else value.decode() for value in values]
    return {"now_ms": now.decode(), **dict(zip(NAMES, fields, strict=True))}


def counts(client: redis.Redis, batch: str = "batch_a") -> dict[str, int]:
    """Every counter but zeros, after checking that they balance."""
    seen = {name: int(read(client, batch)[name] or 0) for name in ("submitted", *Status, "finished")}
    assert seen["submitted"] == sum(seen[status] for status in Status)
    assert seen["finished"] == seen["submitted"] - seen["pending"] - seen["processing"]
    return {name: count for name, count in seen.items() if count}


def actual(client: redis.Redis) -> dict[str, int]:
    """The statuses of all records, counted one by one."""
    found: dict[str, int] = {}
    for key in client.scan_iter(keys.execution("*")):
        status = client.hget(key, "status").decode()
        found[status] = found.get(status, 0) + 1
    return found


# Uploading


def test_a_batch_begins_empty(client: redis.Redis, begin: Begin) -> None:
    assert begin() == begin() == [b"begun", b"batch_a"]
    seen = read(client)
    assert counts(client) == {}
    assert (seen["namespace"], seen["complete"], seen["started_ms"], seen["ended_ms"]) == (
        "ns_1",
        "0",
        None,
        None,
    )
    assert int(seen["uploading_until_ms"] or 0) == int(seen["created_ms"] or 0) + UPLOAD_MS
    assert 0 < client.ttl(keys.batch("batch_a")) <= TTL_S
    assert client.zcard(keys.batches("ns_1")) == 1


def test_a_key_gives_the_same_batch_again_and_refuses_another_body(client: redis.Redis, begin: Begin) -> None:
    assert begin(key="k", body="one") == [b"begun", b"batch_a"]
    assert begin("batch_b", key="k", body="one") == [b"again", b"batch_a"]
    assert begin("batch_c", key="k", body="two") == [b"mismatch", b"batch_a"]
    assert begin("batch_d", key="other") == [b"begun", b"batch_d"]
    assert not client.exists(keys.batch("batch_b"), keys.batch("batch_c"))


def test_one_of_many_begins_with_a_key_makes_the_batch(begin: Begin) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: begin(f"batch_{n}", key="k"), range(50)))
    assert len({batch for _, batch in replies}) == 1
    assert sum(word == b"begun" for word, _ in replies) == 1


def test_a_line_is_submitted_once(client: redis.Redis, begin: Begin, line: Line) -> None:
    begin()
    assert line(7, name='"mine, with spaces"')[0] == b"accepted"
    assert line(7)[0] == b"accepted"  # the same id: an answer was lost
    assert line(7, execution_id="exec_x") == [b"replayed", b"exec_batch_a_7"]
    assert line(7, execution_id="exec_y", digest="other") == [b"mismatch", b"exec_batch_a_7"]
    assert client.hgetall(keys.batch_lines("batch_a")) == {b"7": b'exec_batch_a_7 d "mine, with spaces"'}
    assert counts(client) == {"submitted": 1, "pending": 1}
    assert read(client)["last_line"] == "7"
    line(3)
    assert read(client)["last_line"] == "7"


def test_one_of_many_submits_of_a_line_is_accepted(client: redis.Redis, begin: Begin, line: Line) -> None:
    begin()
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda n: line(1, execution_id=f"exec_{n}"), range(50)))
    assert sum(reply[0] == b"accepted" for reply in replies) == 1
    assert sum(reply[0] == b"replayed" for reply in replies) == 49
    assert counts(client) == {"submitted": 1, "pending": 1}


def test_what_submit_refuses_is_not_counted(client: redis.Redis, begin: Begin, line: Line) -> None:
    begin()
    refusals: list[dict[str, Any]] = [{"version": "2"}, {"collections": ["col_gone"]}, {"queue_max": 0}]
    assert [line(1, **each)[0] for each in refusals] == [b"stale", b"no_collection", b"full"]
    assert line(1, batch="batch_gone") == [b"no_batch"]
    assert counts(client) == {}
    assert not client.exists(keys.batch_lines("batch_a"), keys.batch("batch_gone"))


def test_the_end_of_an_upload_is_kept(client: redis.Redis, begin: Begin, line: Line) -> None:
    begin()
    line(1)
    assert fcall(client, "end_upload", "batch_a", 1, 3, 2, '[{"line":2}]') == b"ended"
    seen = read(client)
    assert (seen["complete"], seen["lines"], seen["refused"], seen["refused_lines"]) == (
        "1",
        "3",
        "2",
        '[{"line":2}]',
    )
    assert (seen["uploading_until_ms"], seen["ended_ms"]) == (None, None)
    assert fcall(client, "end_upload", "batch_gone", 1, 0, 0, "[]") == b"missing"


# Counting


def test_every_transition_is_counted(client: redis.Redis, begin: Begin, line: Line, ledger: Ledger) -> None:
    begin()
    for number in range(1, 8):
        line(number)
    claims = {n: ledger.claim(f"exec_batch_a_{n}") for n in range(1, 6)}
    assert counts(client) == {"submitted": 7, "pending": 2, "processing": 5}
    for number, status in enumerate(("completed", "degraded", "failed"), 1):
        claim = claims[number]
        assert claim is not None
        ledger.finish(claim, outcome(status), claim_next=False)
        ledger.finish(claim, outcome("failed"), claim_next=False)  # again: counted once
    fourth = claims[4]
    assert fourth is not None and ledger.release(fourth, patience_s=0)
    ledger.cancel("exec_batch_a_6", "no")
    assert counts(client) == {"submitted": 7, "pending": 2, "processing": 1, "completed": 1, "degraded": 1,
                              "failed": 1, "cancelled": 1, "finished": 4}  # fmt: skip


def test_a_finish_counts_what_it_ends_and_what_it_claims(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger
) -> None:
    begin()
    begin("batch_b")
    line(1)
    line(1, batch="batch_b")
    claim = ledger.claim("exec_batch_a_1")
    assert claim is not None
    ledger.finish(claim, outcome(), claim_next=True)
    assert counts(client) == {"submitted": 1, "completed": 1, "finished": 1}
    assert counts(client, "batch_b") == {"submitted": 1, "processing": 1}


def test_lost_workers_are_counted_too(client: redis.Redis, begin: Begin, line: Line, ledger: Ledger) -> None:
    begin()
    line(1)
    for attempt in range(3):
        assert ledger.claim("exec_batch_a_1") is not None
        assert counts(client) == {"submitted": 1, "processing": 1}
        client.zadd(keys.LEASES, {"exec_batch_a_1": 1})
        report = ledger.sweep()
        assert (report.requeued, report.failed) == ((1, 0) if attempt < 2 else (0, 1))
    assert counts(client) == {"submitted": 1, "failed": 1, "finished": 1}


@pytest.mark.parametrize("seed", range(5))
def test_the_counters_agree_with_the_records_whatever_happens(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger, settings: Settings, seed: int
) -> None:
    chance = random.Random(seed)
    begin()
    claims = []
    retention = (settings.result_ttl_s, settings.summary_ttl_s, settings.history_max)
    for number in range(1, 41):
        line(number)
        execution_id = f"exec_batch_a_{chance.randint(1, number)}"
        match chance.randrange(6):
            case 0 | 1:
                claims.append(ledger.claim(execution_id))
            case 2:
                client.zadd(keys.LEASES, {execution_id: 1}, xx=True)
                ledger.sweep()
            case 3:
                fcall(client, "cancel", execution_id, '"no"', *retention, "any")
            case _:
                for claim in filter(None, claims):
                    ending = outcome(chance.choice(("completed", "failed", "degraded")))
                    _, following = ledger.finish(claim, ending, claim_next=chance.random() < 0.5)
                    claims = [following]
        seen = counts(client)
        assert {status: seen[status] for status in Status if status in seen} == actual(client)


def test_an_execution_without_a_batch_touches_none(
    client: redis.Redis, submit: Submit, ledger: Ledger
) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    ledger.finish(claim, outcome(), claim_next=False)
    assert list(client.scan_iter("kennel:batch*")) == []


# Ending


def finish_all(ledger: Ledger, *numbers: int) -> None:
    for number in numbers:
        claim = ledger.claim(f"exec_batch_a_{number}")
        assert claim is not None
        ledger.finish(claim, outcome(), claim_next=False)


def test_it_stays_while_something_is_open_and_expires_afterwards(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger
) -> None:
    begin()
    line(1)
    line(2)
    fcall(client, "end_upload", "batch_a", 1, 2, 0, "[]")
    both = (keys.batch("batch_a"), keys.batch_lines("batch_a"))
    finish_all(ledger, 1)
    assert [client.ttl(key) for key in both] == [-1, -1]
    assert read(client)["ended_ms"] is None
    finish_all(ledger, 2)
    assert all(0 < client.ttl(key) <= TTL_S for key in both)
    seen = read(client)
    assert int(seen["created_ms"] or 0) <= int(seen["started_ms"] or 0) <= int(seen["ended_ms"] or 0)


def test_more_lines_take_its_end_back(client: redis.Redis, begin: Begin, line: Line, ledger: Ledger) -> None:
    begin(key="k")
    line(1)
    finish_all(ledger, 1)
    assert read(client)["ended_ms"] is not None
    assert begin("batch_b", key="k") == [b"again", b"batch_a"]
    line(2)
    assert read(client)["ended_ms"] is None
    assert client.ttl(keys.batch("batch_a")) == client.ttl(keys.batch_lines("batch_a")) == -1


@pytest.mark.parametrize("last", ["execution", "upload"])
def test_whoever_waits_is_woken_once_by_the_end(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger, last: str
) -> None:
    with client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(keys.wake_channel("api-1"))
        begin()
        line(1)
        line(2)
        read(client, watcher="api-1")
        finish_all(ledger, 1)
        steps = [
            lambda: finish_all(ledger, 2),
            lambda: fcall(client, "end_upload", "batch_a", 1, 2, 0, "[]"),
        ]
        for step in steps if last == "upload" else reversed(steps):
            step()
        told = [subscription.get_message(timeout=0.1) for _ in range(6)]
    assert [each["data"] for each in told if each] == [b"batch_a ended"]


def test_every_key_expires_or_is_permanent_by_design(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger
) -> None:
    begin(key="k")
    begin("batch_empty")
    line(1)
    finish_all(ledger, 1)
    found = [raw.decode() for raw in client.scan_iter()]
    assert [key for key in found if client.ttl(key) < 0 and not key.startswith(PERMANENT)] == []


def test_two_marks_keep_ten_to_twenty_seconds_in_view(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger
) -> None:
    begin()
    for number in range(1, 5):
        line(number)
    finish_all(ledger, 1, 2)
    assert read(client)["older_mark_ms"] == ""  # the first mark is not old enough
    earlier = int(client.hget(keys.batch("batch_a"), "mark_ms")) - 11_000
    client.hset(keys.batch("batch_a"), "mark_ms", earlier)
    finish_all(ledger, 3, 4)
    seen = read(client)
    assert (seen["older_mark_ms"], seen["older_mark"]) == (str(earlier), "1")
    assert client.hget(keys.batch("batch_a"), "mark") == b"3"


# Cancelling and listing


def test_cancelled_lines_are_counted_and_no_new_ones_taken(
    client: redis.Redis, begin: Begin, line: Line, ledger: Ledger, settings: Settings
) -> None:
    begin()
    for number in (1, 2, 4, 5, 9):
        line(number)
    finish_all(ledger, 1)
    assert ledger.claim("exec_batch_a_2") is not None
    retention = (settings.result_ttl_s, settings.summary_ttl_s, settings.history_max)
    assert fcall(client, "cancel_lines", "batch_a", 1, 8, '"no"', *retention) == [2, 1, 1]
    assert counts(client) == {"submitted": 5, "pending": 1, "completed": 1, "cancelled": 3, "finished": 4}
    assert line(10) == [b"batch_cancelled"]
    assert line(9, execution_id="exec_x") == [b"replayed", b"exec_batch_a_9"]
    assert fcall(client, "cancel_lines", "batch_a", 1, 9, '"no"', *retention) == [1, 0, 4]
    assert fcall(client, "cancel_lines", "batch_gone", 1, 9, '"no"', *retention) is None
    assert not client.exists(keys.batch("batch_gone"))


def listed(client: redis.Redis, below: str = "", offset: int = 0, limit: int = 10) -> tuple[int, list[str]]:
    total, *rows = fcall(client, "list_batches", "ns_1", below, offset, limit)
    return total, [row[0].decode() for row in rows]


def test_the_list_is_newest_first_page_by_page_without_the_expired(client: redis.Redis, begin: Begin) -> None:
    for number in range(6):
        begin(f"batch_{number}")
    assert listed(client, limit=2) == (6, ["batch_5", "batch_4"])
    assert listed(client, offset=4) == (6, ["batch_1", "batch_0"])
    client.delete(keys.batch("batch_4"), keys.batch("batch_3"))
    assert listed(client, limit=2) == (4, ["batch_5", "batch_2"])
    second = str(int(client.zscore(keys.batches("ns_1"), "batch_2")))
    assert listed(client, below=second) == (4, ["batch_1", "batch_0"])
    assert fcall(client, "list_batches", "ns_other", "", 0, 10) == [0]


def test_the_list_is_bounded(client: redis.Redis, begin: Begin) -> None:
    for number in range(8):
        begin(f"batch_{number}", listed=5)
    assert listed(client) == (5, [f"batch_{number}" for number in (7, 6, 5, 4, 3)])
