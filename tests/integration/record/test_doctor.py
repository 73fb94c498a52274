"""The doctor finds nothing in a healthy installation, and mends each kind of fault in a broken one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import orjson
import pytest
import redis
from typer.testing import CliRunner

from ops import cli
from ops.doctor import counters
from ops.doctor.examine import Report, examine
from ops.redis_probe import connect as connect_ops
from shared import keys
from shared.broker import QUEUE_NORMAL
from shared.redis_sync import connect, fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import RETRIEVER, Submit, outcome
from tests.integration.record.test_books import counts, walked
from tests.servers import free_port
from tests.waiting import wait_until

PENDING = keys.pending(QUEUE_NORMAL)
LONG_AGO = 1_000_000  # as a sequence number: one second into 1970
Break = Callable[[redis.Redis], object]


def no_pause(_seconds: float) -> None:
    """Nobody moves anything between the two looks."""


@pytest.fixture
def ops_client(server_url: str) -> Iterator[redis.Redis]:
    with connect_ops(server_url) as client:
        yield client


@pytest.fixture
def healthy(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    """exec_1 completed with a long result, exec_2 runs, exec_3 and exec_4 wait.

    Of a batch one line completed, one was cancelled, one waits.
    """
    client.hset(keys.resource("namespace", "ns_1"), "body", "{}")
    client.zadd(keys.resource_ids("namespace", keys.INSTALLATION), {"ns_1": 1})
    client.set(keys.definition(RETRIEVER, 1), "{}")
    for number in range(1, 5):
        submit(f"exec_{number}", idempotency=f"key_{number}", body="-")
    fcall(client, "begin_batch", "batch_a", "ns_1", "", "-", 800, 1_000, 5_000, 100, 60_000)
    for number in range(1, 4):
        submit(f"exec_line_{number}", ("batch_a", number, "d", "null", 60_000))
    for name, documents in (("exec_1", [b"{}"] * 30), ("exec_line_1", [])):
        claim = ledger.claim(name)
        assert claim is not None
        ledger.finish(claim, outcome(documents=documents), claim_next=False)
    ledger.claim("exec_2")
    ledger.cancel("exec_line_2", "no")
    for message in client.lrange(QUEUE_NORMAL, 0, -1):  # as Celery takes them
        if client.hget(keys.execution(id_in(message)), "status") != b"pending":
            client.lrem(QUEUE_NORMAL, 1, message)
    ledger.heartbeat([], patience_s=0)
    ledger.sweep()


def id_in(message: bytes) -> str:
    return message.split(b'"id": "', 1)[-1].split(b'"', 1)[0].decode()


def found(report: Report) -> set[tuple[str, str]]:
    """(check, subject) of each finding."""
    return {(each.fault.kind.name, each.fault.subject) for each in report.findings}


@pytest.mark.usefixtures("healthy")
def test_a_healthy_installation_has_nothing(ops_client: redis.Redis, settings: Settings) -> None:
    report = examine(ops_client, settings, fix=False, pause=no_pause)
    assert found(report) == set()
    assert report.notes == ()
    assert report.keys > 20


def lose_message(client: redis.Redis) -> None:
    """As if its message had been popped long ago by a worker that died."""
    [message] = [each for each in client.lrange(QUEUE_NORMAL, 0, -1) if id_in(each) == "exec_3"]
    client.lrem(QUEUE_NORMAL, 0, message)
    client.zadd(PENDING, {"exec_3": LONG_AGO})
    client.hset(keys.execution("exec_3"), "seq", LONG_AGO)


def lose_key(name: str) -> Break:
    return lambda client: client.delete(name)


def never_expire(name: str) -> Break:
    def persist(client: redis.Redis) -> None:
        assert client.persist(name)

    return persist


def upset_batch(client: redis.Redis) -> None:
    client.hincrby(keys.batch("batch_a"), "pending", 1)


NO_MESSAGE, WRONG = "record without message", "wrong counter"
BREAKS: list[tuple[Break, set[tuple[str, str]]]] = [
    (lose_message, {(NO_MESSAGE, "exec_3")}),
    (
        lambda client: client.zrem(PENDING, "exec_3"),
        {(NO_MESSAGE, "exec_3"), (WRONG, "installation"), (WRONG, "namespace ns_1")},
    ),
    (
        lose_key(keys.execution("exec_4")),
        {
            ("message without record", "exec_4"),
            ("queue entry without pending record", "exec_4"),
            (WRONG, "namespace ns_1"),
        },
    ),
    (
        lambda client: client.zadd(PENDING, {"exec_1": LONG_AGO}),
        {
            ("queue entry without pending record", "exec_1"),
            (WRONG, "installation"),
            (WRONG, "namespace ns_1"),
        },
    ),
    (lambda client: client.zadd(keys.LEASES, {"exec_2": 1}), {("expired lease", "exec_2")}),
    (
        lambda client: client.zrem(keys.LEASES, "exec_2"),
        {("running without lease", "exec_2"), (WRONG, "installation"), (WRONG, "namespace ns_1")},
    ),
    (
        lambda client: client.zadd(keys.LEASES, {"exec_none": 1}),
        {("lease without running record", "exec_none"), (WRONG, "installation")},
    ),
    (
        lose_key(keys.execution("exec_1")),
        {("orphaned key", keys.result_documents("exec_1"))},
    ),
    (
        lambda client: client.hset(keys.books("ns_gone"), "none>pending", 1),
        {("orphaned key", keys.books("ns_gone"))},
    ),
    (
        lambda client: client.hset(keys.alert_state("alt_gone"), "last_fired_ms", 1),
        {("orphaned key", keys.alert_state("alt_gone"))},
    ),
    (lose_key(keys.batch("batch_a")), {("orphaned key", keys.batch_lines("batch_a"))}),
    *(
        (never_expire(name), {("key that never expires", name)})
        for name in (
            keys.execution("exec_1"),
            keys.result_documents("exec_1"),
            keys.summary("exec_1"),
            keys.history(RETRIEVER),
            keys.history(RETRIEVER, "completed"),
            keys.batches("ns_1"),
            "kennel:idem:key_1",
        )
    ),
    (
        lose_key(keys.resource("retriever", RETRIEVER)),
        {("key that never expires", keys.definition(RETRIEVER, 1))},
    ),
    (lambda client: client.hincrby(keys.BOOKS, "none>pending", 2), {(WRONG, "installation")}),
    (
        lambda client: client.hincrby(keys.books("ns_1"), "processing>completed", 1),
        {(WRONG, "namespace ns_1")},
    ),
    (lose_key(keys.books("ns_1")), {(WRONG, "namespace ns_1")}),
    (upset_batch, {(WRONG, "batch_a")}),
    (lambda client: client.hincrby(keys.batch("batch_a"), "failed", 1), {(WRONG, "batch_a")}),
]


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(("break_it", "expected"), BREAKS)
def test_each_kind_is_found_and_mended(
    client: redis.Redis,
    ops_client: redis.Redis,
    settings: Settings,
    break_it: Break,
    expected: set[tuple[str, str]],
) -> None:
    break_it(client)
    for _ in range(2):  # looking changes nothing
        report = examine(ops_client, settings, fix=False, pause=no_pause)
        assert found(report) == expected
        assert not any(each.mended for each in report.findings)
    report = examine(ops_client, settings, fix=True, pause=no_pause)
    assert found(report) >= expected
    assert any(each.mended for each in report.findings)
    assert found(examine(ops_client, settings, fix=True, pause=no_pause)) == set()


@pytest.mark.usefixtures("healthy")
def test_what_was_stuck_goes_on(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, ledger: Ledger
) -> None:
    lose_message(client)
    client.zadd(keys.LEASES, {"exec_2": 1})
    client.zrem(PENDING, "exec_4")
    examine(ops_client, settings, fix=True, pause=no_pause)
    sent = b"".join(client.lrange(QUEUE_NORMAL, 0, -1))
    for name in ("exec_2", "exec_3", "exec_4"):
        assert b'"%s"' % name.encode() in sent
        claim = ledger.claim(name)
        assert claim is not None
        ledger.finish(claim, outcome(), claim_next=False)
    assert counts(client) == counts(client, "ns_1") == walked(client)


@pytest.mark.usefixtures("healthy")
def test_a_batch_that_would_never_end_ends(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, ledger: Ledger
) -> None:
    upset_batch(client)
    ledger.cancel("exec_line_3", "no")
    fcall(client, "end_upload", "batch_a", "1", 3, 0, "[]")
    assert client.ttl(keys.batch("batch_a")) == -1
    examine(ops_client, settings, fix=True, pause=no_pause)
    assert 0 < client.ttl(keys.batch("batch_a")) <= 1_000
    assert client.hmget(keys.batch("batch_a"), "pending", "finished", "cancelled") == [b"0", b"3", b"2"]


def test_what_waits_for_another_attempt_needs_no_message(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, ledger: Ledger, submit: Submit
) -> None:
    client.hset(keys.resource("namespace", "ns_1"), "body", "{}")
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None
    client.delete(QUEUE_NORMAL)
    assert ledger.retry(claim, 60_000, 0, outcome().detail, outcome().figures)
    client.zadd(PENDING, {"exec_a": LONG_AGO})  # due long ago, but no worker is there to sweep
    client.hset(keys.execution("exec_a"), "seq", LONG_AGO)
    assert found(examine(ops_client, settings, fix=False, pause=no_pause)) == set()
    client.zrem(keys.DELAYED, "exec_a")
    assert found(examine(ops_client, settings, fix=False, pause=no_pause)) == {(NO_MESSAGE, "exec_a")}


@pytest.mark.usefixtures("healthy")
def test_a_repair_that_comes_too_late_does_nothing(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, ledger: Ledger
) -> None:
    lose_message(client)
    client.zadd(keys.LEASES, {"exec_2": 1})
    client.persist(keys.summary("exec_1"))
    before = client.llen(QUEUE_NORMAL)

    def everybody_goes_on(_seconds: float) -> None:
        assert ledger.claim("exec_3") is not None
        ledger.heartbeat([("exec_2", 1)], patience_s=0)
        client.expire(keys.summary("exec_1"), 60)

    report = examine(ops_client, settings, fix=True, pause=everybody_goes_on)
    assert found(report) == set()
    assert client.llen(QUEUE_NORMAL) == before


@pytest.mark.usefixtures("healthy")
def test_books_are_only_compared_where_that_is_quick(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters, "OPEN_MAX", 2)
    client.hincrby(keys.books("ns_1"), "none>pending", 1)
    report = examine(ops_client, settings, fix=False, pause=no_pause)
    assert found(report) == set()
    assert "more than 2 executions are unfinished" in report.notes[0]


def test_nothing_is_wrong_under_load(
    client: redis.Redis, server_url: str, ops_client: redis.Redis, settings: Settings, submit: Submit
) -> None:
    client.hset(keys.resource("namespace", "ns_1"), "body", "{}")
    client.zadd(keys.resource_ids("namespace", keys.INSTALLATION), {"ns_1": 1})
    over = Event()
    ended = [0, 0]

    def work(number: int) -> None:
        with connect(server_url) as own:
            ledger = Ledger(own, settings, f"worker-{number}")
            while not over.is_set():
                submit(f"exec_{number}_{ended[number]}")
                message = own.rpop(QUEUE_NORMAL) or b""
                claim = ledger.claim(id_in(message))
                if claim is not None:
                    ledger.finish(claim, outcome(), claim_next=False)
                ended[number] += 1

    def let_some_end(_seconds: float = 0) -> None:
        seen = sum(ended)
        wait_until(lambda: sum(ended) > seen + 20, 20, "executions to end")

    threads = [Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            let_some_end()
            assert found(examine(ops_client, settings, fix=False, pause=let_some_end)) == set()
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.usefixtures("healthy")
def test_the_command_line(
    client: redis.Redis, server_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KENNEL_REDIS_URL", server_url)
    monkeypatch.setenv("KENNEL_HEARTBEAT_MS", "100")
    runner = CliRunner()
    healthy = runner.invoke(cli.app, ["doctor"])
    assert (healthy.exit_code, healthy.stdout[:16]) == (0, "nothing is wrong")
    lose_message(client)
    client.delete(keys.execution("exec_4"))
    looked = runner.invoke(cli.app, ["doctor", "--json"])
    assert looked.exit_code == 1
    body = orjson.loads(looked.stdout)
    assert not body["healthy"]
    assert {(each["check"], each["subject"], each["mended"]) for each in body["findings"]} >= {
        (NO_MESSAGE, "exec_3", False),
        ("message without record", "exec_4", False),
    }
    fixed = runner.invoke(cli.app, ["doctor", "--fix"])
    assert fixed.exit_code == 1
    assert "record without message: exec_3" in fixed.stdout
    assert '"inputs"' not in looked.stdout + fixed.stdout
    assert runner.invoke(cli.app, ["doctor"]).exit_code == 0
    monkeypatch.setenv("KENNEL_REDIS_URL", f"redis://:secret@127.0.0.1:{free_port()}/0")
    away = runner.invoke(cli.app, ["doctor", "--fix"])
    assert (away.exit_code, len(away.output.splitlines())) == (2, 1)
    assert "secret" not in away.output


def test_parked_executions_need_no_message_and_their_counts_are_checked(
    client: redis.Redis, ops_client: redis.Redis, settings: Settings, submit: Submit
) -> None:
    client.hset(keys.resource("namespace", "ns_1"), "body", "{}")
    for number in range(40):
        submit(f"exec_{number}")
    assert found(examine(ops_client, settings, fix=False, pause=no_pause)) == set()
    client.hset(f"kennel:out:{QUEUE_NORMAL}", "ns_1", 99)
    client.zrem(f"kennel:parked:{QUEUE_NORMAL}:ns_1", "exec_35")
    wrong = {("wrong counter", "namespace ns_1"), (NO_MESSAGE, "exec_35")}
    assert found(examine(ops_client, settings, fix=True, pause=no_pause)) == wrong
    assert found(examine(ops_client, settings, fix=False, pause=no_pause)) == set()
    assert client.hget(f"kennel:out:{QUEUE_NORMAL}", "ns_1") == b"33"  # 32, and the one that had no place
