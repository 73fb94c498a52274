"""The history: newest first, by status, page by page; and what the record's keys leave behind."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
import redis

from shared import ids, keys, scripts
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import RETRIEVER, Submit, outcome

PERMANENT = (
    "kennel:books",
    "kennel:collection:",
    "kennel:leases",
    "kennel:marks:",
    "kennel.normal",
    "kennel:out:",
    "kennel:parked:",
    "kennel:parking",
    "kennel:run_message",
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
    return total, [orjson.loads(summary)["execution_id"] for summary in flat[1::2]]


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
    assert client.zcard(f"kennel:hist:{RETRIEVER}") <= 11


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
    source = scripts.library_source().split("-- Append values", 1)[0].split("\n", 1)[1]
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
    assert keys.events("x") == keys.LUA["EVENTS"] + "x"
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
        return [total, *(orjson.loads(summary)["execution_id"] for summary in flat[1::2])]

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
        assert [total, *(orjson.loads(summary)["execution_id"] for summary in flat[1::2])] == expected


def test_profiles_are_of_the_newest_completed_runs_of_one_version(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    for number, status in enumerate(["completed", "failed", "completed", "completed", "degraded"]):
        submit()
        claim = ledger.claim(f"exec_{number + 1}")
        assert claim is not None
        ledger.finish(claim, outcome(status, profile=b'{"n":%d}' % number), claim_next=False)
    client.hset(keys.execution("exec_3"), "version", "2")
    assert fcall(client, "profiles", RETRIEVER, "1", 20) == [b'{"n":3}', b'{"n":0}']
    assert fcall(client, "profiles", RETRIEVER, "1", 2) == [b'{"n":3}']
    assert fcall(client, "profiles", "ret_unknown", "1", 20) == []


def test_a_summary_counts_the_completed_stages(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    ledger.finish(claim, outcome(stages_completed=2), claim_next=False)
    assert orjson.loads(fcall(client, "tombstone", "exec_a"))["stages_completed"] == 2


def ended(ledger: Ledger, submit: Submit, count: int, *, history_max: int) -> list[str]:
    """Ids of executions that were submitted and completed, oldest first."""
    made = [ids.execution_id() for _ in range(count)]
    for each in made:
        submit(each, history_max=history_max)
        claim = ledger.claim(each)
        assert claim is not None
        ledger.finish(claim, outcome(), claim_next=False)
    return made


def test_what_falls_out_of_the_history_keeps_nothing_beyond_its_result(
    client: redis.Redis, settings: Settings, submit: Submit
) -> None:
    ledger = Ledger(client, settings.model_copy(update={"history_max": 10}), "w")
    made = ended(ledger, submit, 25, history_max=10)
    made += ended(ledger, submit, 2, history_max=10)
    listed = page(client, limit=100)[1]
    assert listed == made[:-11:-1]
    assert page(client, "completed", limit=100)[1] == listed
    for each in made:
        kept_s = settings.summary_ttl_s if each in listed else settings.result_ttl_s
        assert kept_s - 60 < client.ttl(keys.summary(each)) <= kept_s
    client.delete(*(keys.execution(each) for each in listed))
    ended(ledger, submit, 5, history_max=10)
    assert [client.exists(keys.summary(each)) for each in listed[-5:]] == [0] * 5


def test_one_that_ends_after_it_fell_out_is_in_no_list(
    client: redis.Redis, settings: Settings, submit: Submit
) -> None:
    ledger = Ledger(client, settings.model_copy(update={"history_max": 2}), "w")
    submit("exec_slow", history_max=2)
    claim = ledger.claim("exec_slow")
    ended(ledger, submit, 5, history_max=2)
    assert claim is not None
    ledger.finish(claim, outcome(), claim_next=False)
    assert "exec_slow" not in page(client)[1] + page(client, "completed")[1]
    assert client.exists(keys.summary("exec_slow"))


def test_a_page_costs_as_many_commands_in_a_long_history(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    spent = []
    for _ in range(2):
        ended(ledger, submit, 150, history_max=1_000)
        before = commands(client)
        page(client, "completed", offset=5, limit=20)
        spent.append(commands(client) - before)
    assert spent[0] == spent[1] < 40


def commands(client: redis.Redis) -> int:
    """All that the server has run, those inside of functions included."""
    stats: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(each["calls"] for each in stats.values())
