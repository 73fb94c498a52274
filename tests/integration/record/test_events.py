"""The events of an execution: none unless somebody follows; then every change, each once, in order."""

from __future__ import annotations

from typing import Any

import orjson
import redis

from shared import keys
from shared.models.execution import Claim, StageEvent, Told
from shared.redis_sync import fcall
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import DETAIL, Submit, outcome

ENDED = StageEvent("stage_complete", b',"stage_index":0')
STARTED = StageEvent("stage_start", b',"stage_index":1')
EVENTS = keys.events("exec_a")


def follow(client: redis.Redis, execution_id: str = "exec_a") -> list[Any]:
    seen: list[Any] = fcall(client, "follow", execution_id, "api-1")
    return seen


def events(client: redis.Redis) -> list[tuple[str, str]]:
    """(id, type) of each."""
    return [(entry_id.decode(), fields[b"type"].decode()) for entry_id, fields in client.xrange(EVENTS)]


def members(client: redis.Redis, entry_id: str) -> dict[str, Any]:
    ((_, fields),) = client.xrange(EVENTS, entry_id, entry_id)
    seen: dict[str, Any] = orjson.loads(b"{" + fields[b"members"][1:] + b"}")
    return seen


def claimed(ledger: Ledger, execution_id: str = "exec_a") -> Claim:
    claim = ledger.claim(execution_id)
    assert claim is not None
    return claim


def progress(ledger: Ledger, claim: Claim, number: int, told: Told) -> bool:
    return ledger.progress(claim, number, "second", 1, DETAIL, b'"f":1', told)


def test_nobody_follows_nothing_is_kept(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = claimed(ledger)
    progress(ledger, claim, 1, Told(0, [ENDED, STARTED]))
    ledger.finish(claim, outcome(), claim_next=False, told=Told(2, [ENDED]))
    assert not claim.is_followed
    assert client.exists(EVENTS) == 0
    assert not client.hexists(keys.execution("exec_a"), "told")


def test_from_the_submit_to_the_end(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a", stream="1")
    claim = claimed(ledger)
    progress(ledger, claim, 1, Told(0, [ENDED, STARTED]))
    ledger.finish(claim, outcome(), claim_next=False, told=Told(2, [ENDED]))
    assert claim.is_followed
    assert events(client) == [
        ("1-0", "execution_status"),
        ("2-0", "execution_status"),
        ("2-1", "stage_start"),
        ("3-0", "stage_complete"),
        ("3-1", "stage_start"),
        ("4-0", "stage_complete"),
        ("4-1", "execution_complete"),
    ]
    assert [members(client, each)["status"] for each in ("1-0", "2-0")] == ["pending", "processing"]
    assert members(client, "2-1") == {"stage_name": "first", "stage_index": 0}


def test_what_is_told_again_is_kept_once(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    """A worker that had no answer tells it again, with what came meanwhile."""
    submit("exec_a", stream="1")
    claim = claimed(ledger)
    progress(ledger, claim, 1, Told(0, [ENDED, STARTED]))
    progress(ledger, claim, 2, Told(0, [ENDED, STARTED, ENDED]))
    progress(ledger, claim, 2, Told(0, [ENDED, STARTED, ENDED]))
    ledger.finish(claim, outcome(), claim_next=False, told=Told(2, [ENDED]))
    assert [entry_id for entry_id, _ in events(client)][3:] == ["3-0", "3-1", "4-0", "5-0"]


def test_each_attempt_tells_from_its_own_first_event(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a", stream="1")
    first = claimed(ledger)
    progress(ledger, first, 1, Told(0, [ENDED, STARTED]))
    ledger.release(first, patience_s=0)
    second = claimed(ledger)
    assert not progress(ledger, first, 2, Told(2, [ENDED]))
    progress(ledger, second, 1, Told(0, [ENDED]))
    assert events(client)[5:] == [
        ("4-0", "execution_status"),
        ("5-0", "execution_status"),
        ("5-1", "stage_start"),
        ("6-0", "stage_complete"),
    ]
    assert members(client, "4-0")["status"] == "pending"


def test_following_begins_with_what_is(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = claimed(ledger)
    assert follow(client)[-1] == follow(client)[-1] == b"2-0"
    progress(ledger, claim, 1, Told(0, [ENDED]))
    assert events(client) == [("2-0", "execution_status"), ("3-0", "stage_complete")]
    assert follow(client)[-1] == b"3-0"


def test_ended_and_unknown_ones_are_not_followed(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    ledger.finish(claimed(ledger), outcome(), claim_next=False)
    assert follow(client)[3::6] == [b"completed", b""]
    assert follow(client, "exec_unknown") == [None] * 9 + [b""]
    assert client.exists(EVENTS) == 0


def test_a_failure_and_a_cancel_end_with_an_error(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a", stream="1")
    ledger.cancel("exec_a", "no longer wanted")
    assert events(client)[-1] == ("2-0", "execution_error")
    submit("exec_b", stream="1")
    ledger.finish(claimed(ledger, "exec_b"), outcome("failed", error="x"), claim_next=False)
    assert client.xrevrange(keys.events("exec_b"), count=1)[0][1][b"type"] == b"execution_error"


def test_only_the_newest_200_are_kept(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a", stream="1")
    claim = claimed(ledger)
    for number in range(1, 5):
        progress(ledger, claim, number, Told(60 * (number - 1), [ENDED] * 60))
    assert (len(events(client)), events(client)[0][0], events(client)[-1][0]) == (200, "3-40", "6-59")


def test_they_live_ten_minutes_longer_than_the_execution(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a", stream="1")
    assert 86_000 < client.ttl(EVENTS) <= 86_400
    ledger.finish(claimed(ledger), outcome(), claim_next=False)
    assert 590 < client.ttl(EVENTS) <= 600
    assert not client.hexists(keys.execution("exec_a"), "events")
