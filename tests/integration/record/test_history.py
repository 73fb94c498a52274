"""The history: newest first, by status, page by page; and what the record's keys leave behind."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import redis

from shared import keys, scripts
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import RETRIEVER, Submit, line, outcome

PERMANENT = (
    "kennel:collection:",
    "kennel:leases",
    "kennel:marks:",
    "kennel.normal",
    "kennel:pending:",
    "kennel:retriever:",
    "kennel:seq",
    "kennel:sweep",
    "kennel:workers",
)


def page(
    client: redis.Redis, status: str = "", below: str = "", offset: int = 0, limit: int = 10
) -> tuple[int, list[str]]:
    total, *flat = fcall(client, "history", RETRIEVER, status, below, offset, limit, "-inf", "+inf", 3600)
    return total, [each.decode() for each in flat[1::3]]


@pytest.fixture
def five(ledger: Ledger, submit: Submit) -> None:
    """exec_1 completed, exec_2 failed, exec_3 running, exec_4 cancelled, exec_5 pending."""
    for _ in range(5):
        submit()
    for name, status in (("exec_1", "completed"), ("exec_2", "failed")):
        claim = ledger.claim(name)
        assert claim is not None
        ledger.finish(claim, outcome(status), claim_next=False)
    ledger.claim("exec_3")
    ledger.cancel("exec_4", "no")


@pytest.mark.usefixtures("five")
def test_newest_first_and_by_status(client: redis.Redis) -> None:
    assert page(client) == (5, ["exec_5", "exec_4", "exec_3", "exec_2", "exec_1"])
    for status, expected in {
        "completed": "exec_1",
        "failed": "exec_2",
        "processing": "exec_3",
        "cancelled": "exec_4",
        "pending": "exec_5",
    }.items():
        assert page(client, status) == (1, [expected])


@pytest.mark.usefixtures("five")
def test_pages_join_without_gaps(client: redis.Redis) -> None:
    assert page(client, offset=2, limit=2) == (5, ["exec_3", "exec_2"])
    third = str(int(client.zscore(f"kennel:hist:{RETRIEVER}", "exec_3")))
    assert page(client, below=third) == (5, ["exec_2", "exec_1"])


def test_the_history_is_bounded(client: redis.Redis, submit: Submit) -> None:
    for _ in range(20):
        submit(history_max=10)
    newest = [f"exec_{number}" for number in range(20, 10, -1)]
    assert page(client, limit=20) == page(client, "pending", limit=20) == (10, newest)


def test_a_history_shrinks_by_one_with_each_submit_when_its_bound_was_lowered(
    client: redis.Redis, submit: Submit
) -> None:
    for history_max in (10, 10, 10, 10, 2):
        submit(history_max=history_max)
    assert page(client)[0] == 3
    submit(history_max=2)
    assert page(client) == (2, ["exec_6", "exec_5"])


@pytest.mark.usefixtures("five")
def test_what_falls_out_of_the_history_leaves_every_list_and_its_summary_ends_with_its_result(
    client: redis.Redis, submit: Submit
) -> None:
    client.expire(keys.execution("exec_1"), 60)
    client.delete(keys.execution("exec_2"))
    for _ in range(3):
        submit(history_max=5)
    assert page(client) == (5, ["exec_8", "exec_7", "exec_6", "exec_5", "exec_4"])
    assert page(client, "completed") == page(client, "failed") == (0, [])
    assert 0 < client.ttl(keys.summary("exec_1")) <= 60
    assert not client.exists(keys.summary("exec_2"))
    assert client.ttl(keys.summary("exec_4")) > 60


def test_one_that_ends_after_it_has_fallen_out_enters_no_list(
    client: redis.Redis, ledger: Ledger, settings: Settings, submit: Submit
) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    submit("exec_b", history_max=1)
    ledger.finish(claim, outcome(), claim_next=False)
    assert page(client, "completed") == (0, [])
    assert 0 < client.ttl(keys.summary("exec_a")) <= settings.result_ttl_s


def test_one_that_goes_back_to_the_queue_after_it_has_fallen_out_enters_no_list(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    submit("exec_b", history_max=1)
    assert ledger.release(claim, patience_s=0)
    assert page(client, "pending") == (1, ["exec_b"])
    assert ledger.claim("exec_a") is not None


def test_lines_older_than_their_summaries_are_kept_are_neither_listed_nor_counted(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    for name in ("exec_a", "exec_b", "exec_c"):
        submit(name)
    for name in ("exec_a", "exec_b"):
        assert ledger.claim(name) is not None
    hour_ago = int(client.zscore(keys.history(RETRIEVER), "exec_a") or 0) - 3_600_000_000
    client.zadd(keys.history(RETRIEVER), {"exec_a": hour_ago})
    client.hset(keys.execution("exec_a"), "order", hour_ago)
    assert page(client) == (2, ["exec_c", "exec_b"])
    assert page(client, "processing") == (1, ["exec_b"])


@pytest.mark.usefixtures("five")
def test_all_lists_of_a_history_expire_together(client: redis.Redis) -> None:
    statuses = (None, "completed", "failed", "cancelled", "pending")
    ends_s = [client.expiretime(keys.history(RETRIEVER, status)) for status in statuses]
    assert min(ends_s) > 0
    assert max(ends_s) - min(ends_s) <= 1  # they are set in whole seconds that are left


@pytest.mark.usefixtures("five")
def test_a_summary_that_is_gone_leaves_a_gap_in_its_page(client: redis.Redis) -> None:
    client.delete(keys.summary("exec_2"), keys.execution("exec_2"))
    assert page(client) == (5, ["exec_5", "exec_4", "exec_3", "exec_1"])


@pytest.mark.usefixtures("five")
def test_every_key_expires_or_is_permanent_by_design(client: redis.Redis, ledger: Ledger) -> None:
    ledger.sweep()
    unfinished = {f"kennel:exec:{name}" for name in ("exec_3", "exec_5")}
    leaks = [
        key
        for key in (raw.decode() for raw in client.scan_iter())
        if client.ttl(key) < 0 and key not in unfinished and not key.startswith(PERMANENT)
    ]
    assert leaks == []


def test_lua_writes_times_as_python_does(client: redis.Redis) -> None:
    source = scripts.library_source().split("local function iso_or_null", 1)[0].split("\n", 1)[1]
    moments = [
        "1970-01-01T00:00:00.000",
        "2000-02-29T23:59:59.999",
        "2024-12-31T12:00:00.001",
        "2100-03-01T00:00:00.500",
    ]
    for moment in moments:
        at_ms = round(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
        assert client.eval(source + "\nreturn iso(tonumber(ARGV[1]))", 0, at_ms) == f"{moment}Z".encode()


def test_lua_and_python_agree_on_key_names() -> None:
    assert keys.execution("x") == keys.LUA["RECORD"] + "x"
    assert keys.summary("x") == keys.LUA["SUMMARY"] + "x"
    assert keys.result_documents("x") == keys.LUA["DOCUMENTS"] + "x"
    assert keys.history("x", "failed") == keys.LUA["HISTORY"] + "x:failed"
    assert keys.pending("x") == keys.LUA["PENDING"] + "x"
    assert keys.batch("x") == keys.LUA["BATCH"] + "x"
    assert keys.batch_lines("x") == keys.LUA["BATCH"] + "x:lines"
    assert keys.batches("x") == keys.LUA["BATCHES"] + "x"
    assert keys.stop_channel("x") == keys.LUA["STOP"] + "x"
    assert keys.wake_channel("x") == keys.LUA["WAKE"] + "x"


def test_between_two_sequences(client: redis.Redis, submit: Submit) -> None:
    for _ in range(4):
        submit()
    numbers = [int(client.zscore(keys.history(RETRIEVER), f"exec_{n}") or 0) for n in range(1, 5)]

    def between(first: int | str, last: int | str, status: str = "", below: int | str = "") -> list[object]:
        total, *flat = fcall(client, "history", RETRIEVER, status, below, 0, 2, first, last, 3600)
        return [total, *(each.decode() for each in flat[1::3])]

    assert between("-inf", "+inf") == [4, "exec_4", "exec_3"]
    assert between(numbers[1], numbers[2]) == [2, "exec_3", "exec_2"]
    assert between(numbers[1], "+inf", below=numbers[2]) == [3, "exec_2"]
    assert between(numbers[3] + 1, "+inf") == [0]


def test_running_ones_between_two_sequences(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    for n in range(1, 4):
        submit()
        assert ledger.claim(f"exec_{n}") is not None
    middle = int(client.zscore(keys.history(RETRIEVER), "exec_2") or 0)
    for bounds, expected in (
        (("-inf", middle), [2, "exec_2", "exec_1"]),
        ((middle, "+inf"), [2, "exec_3", "exec_2"]),
        ((middle, middle), [1, "exec_2"]),
    ):
        total, *flat = fcall(client, "history", RETRIEVER, "processing", "", 0, 9, *bounds, 3600)
        assert [total, *(each.decode() for each in flat[1::3])] == expected


def test_profiles_are_of_the_newest_completed_runs_of_one_version(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    runs = [("completed", 1), ("failed", 1), ("completed", 2), ("completed", 1), ("degraded", 1)]
    for number, (status, version) in enumerate(runs):
        client.hset(keys.resource("retriever", RETRIEVER), "version", version)
        submit(version=version)
        claim = ledger.claim(f"exec_{number + 1}")
        assert claim is not None
        ledger.finish(claim, outcome(status, profile=b'{"n":%d}' % number), claim_next=False)
    assert fcall(client, "profiles", RETRIEVER, "1", 20) == [b'{"n":3}', b'{"n":0}']
    assert fcall(client, "profiles", RETRIEVER, "1", 2) == [b'{"n":3}']
    assert fcall(client, "profiles", "ret_unknown", "1", 20) == []


def test_a_summary_counts_the_completed_stages(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    ledger.finish(claim, outcome(stages_completed=2), claim_next=False)
    assert line(client, "exec_a")["stages_completed"] == 2
