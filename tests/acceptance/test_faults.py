"""Workers and servers die in the middle: every execution still ends, exactly once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import redis

from shared.broker import QUEUE_NORMAL
from tests.chaos.proxy import Proxy
from tests.stack import Stack, create_retriever, ended, execute, gate, kill, poll_until
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def client(kennel: Stack) -> Iterator[httpx.Client]:
    with kennel.namespace("faults") as client:
        yield client


@contextmanager
def worker(kennel: Stack, name: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    process = kennel.start_worker(name, **options)  # type: ignore[arg-type]
    try:
        yield process
    finally:
        kill(process)


def started(kennel: Stack, execution_id: str, times: int = 1) -> None:
    wait_until(lambda: len(kennel.starts(execution_id)) >= times, 30, f"start {times} of {execution_id}")


def final(client: httpx.Client, retriever: str, execution_id: str) -> dict[str, object]:
    return poll_until(client, retriever, execution_id, ended, "the end")


def test_a_killed_workers_execution_runs_again_on_another(kennel: Stack, client: httpx.Client) -> None:
    with worker(kennel, "k1") as first:
        retriever = create_retriever(client, "killed", [gate("killed")])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        with worker(kennel, "k2"):
            kill(first)
            started(kennel, execution_id, times=2)
            kennel.open("killed")
            seen = final(client, retriever, execution_id)
    assert (seen["status"], seen["attempt"]) == ("completed", 2)
    assert kennel.starts(execution_id) == ["killed", "killed"]


def test_executions_survive_the_death_of_every_worker(kennel: Stack, client: httpx.Client) -> None:
    with worker(kennel, "a1") as only:
        retriever = create_retriever(client, "all-dead", [gate("all-dead")])
        ids = [execute(client, retriever) for _ in range(3)]
        for execution_id in ids:
            started(kennel, execution_id)
        kill(only)
    kennel.open("all-dead")
    with worker(kennel, "a2"):
        for execution_id in ids:
            assert final(client, retriever, execution_id)["status"] == "completed"


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["custom", "prefork"])
def test_a_stopping_worker_hands_back_what_it_runs(kennel: Stack, client: httpx.Client, pool: str) -> None:
    name = f"stop-{pool}"
    with worker(kennel, f"t1-{pool}", pool=pool, KENNEL_SHUTDOWN_GRACE_S="0.2") as first:
        retriever = create_retriever(client, name, [gate(name)])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        first.send_signal(signal.SIGTERM)
        seen = poll_until(client, retriever, execution_id, lambda e: e["status"] == "pending", "hand-back")
        assert seen["attempt"] == 0
        first.wait(10)
    with worker(kennel, f"t2-{pool}"):
        kennel.open(name)
        seen = final(client, retriever, execution_id)
    assert (seen["status"], seen["attempt"]) == ("completed", 1)


@pytest.mark.parametrize("pool", ["custom", "prefork"])
def test_a_stage_that_ignores_the_stop_is_left_behind(kennel: Stack, client: httpx.Client, pool: str) -> None:
    name = f"stubborn-{pool}"
    with worker(kennel, f"s1-{pool}", pool=pool, KENNEL_SHUTDOWN_GRACE_S="0.2") as first:
        retriever = create_retriever(client, name, [gate(name, stubborn=True)])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        first.send_signal(signal.SIGTERM)
        first.wait(10)
    seen = poll_until(client, retriever, execution_id, lambda e: e["status"] == "pending", "hand-back")
    assert seen["attempt"] == 0
    kennel.open(name)
    with worker(kennel, f"s2-{pool}"):
        assert final(client, retriever, execution_id)["status"] == "completed"


def test_a_frozen_worker_that_wakes_up_writes_nothing(kennel: Stack, client: httpx.Client) -> None:
    with worker(kennel, "f1") as frozen:
        retriever = create_retriever(client, "frozen", [gate("frozen", stubborn=True)])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        os.killpg(frozen.pid, signal.SIGSTOP)
        with worker(kennel, "f2"):
            started(kennel, execution_id, times=2)
            kennel.open("frozen")
            seen = final(client, retriever, execution_id)
            os.killpg(frozen.pid, signal.SIGCONT)
            noticed = re.compile("execution.lost|stale_write_refused")
            log = kennel.directory / "f1.log"
            wait_until(lambda: noticed.search(log.read_text()), 15, "the frozen worker to notice")
    again = client.get(f"/retrievers/{retriever}/executions/{execution_id}").json()
    assert again == seen
    assert (seen["status"], seen["attempt"]) == ("completed", 2)


def test_a_frozen_worker_that_wakes_up_starts_no_stage(kennel: Stack, client: httpx.Client) -> None:
    with worker(kennel, "g1") as frozen:
        retriever = create_retriever(client, "frozen-first", [gate("thaw-1", stubborn=True), gate("thaw-2")])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        os.killpg(frozen.pid, signal.SIGSTOP)
        with worker(kennel, "g2"):
            started(kennel, execution_id, times=2)
            kennel.open("thaw-1")
            kennel.open("thaw-2")
            seen = final(client, retriever, execution_id)
            os.killpg(frozen.pid, signal.SIGCONT)
            log = kennel.directory / "g1.log"
            wait_until(lambda: "execution.lost" in log.read_text(), 15, "the frozen worker to let go")
    assert (seen["status"], seen["attempt"]) == ("completed", 2)
    assert kennel.starts(execution_id) == ["thaw-1", "thaw-1", "thaw-2"]


def test_doubled_messages_run_once(kennel: Stack, client: httpx.Client) -> None:
    retriever = create_retriever_without_worker(kennel, client, "doubled")
    execution_id = execute(client, retriever)
    with redis.Redis.from_url(kennel.redis_url) as server:
        message = server.lindex(QUEUE_NORMAL, 0)
        server.lpush(QUEUE_NORMAL, *[message] * 20)
        kennel.open("doubled")
        with worker(kennel, "d1"):
            final(client, retriever, execution_id)
            wait_until(lambda: server.llen(QUEUE_NORMAL) == 0, 20, "the duplicates to be dropped")
    assert kennel.starts(execution_id) == ["doubled"]


def test_a_lost_message_is_sent_again(kennel: Stack, client: httpx.Client) -> None:
    retriever = create_retriever_without_worker(kennel, client, "lost")
    execution_id = execute(client, retriever)
    with redis.Redis.from_url(kennel.redis_url) as server:
        server.delete(QUEUE_NORMAL)
    kennel.open("lost")
    with worker(kennel, "l1"):
        assert final(client, retriever, execution_id)["status"] == "completed"
    assert kennel.starts(execution_id) == ["lost"]


def test_a_killed_pool_childs_lease_ends_at_once(kennel: Stack, client: httpx.Client) -> None:
    """Its lease would last for ten minutes; its worker's main process knows better."""
    with worker(kennel, "p1", pool="prefork", threads=2, KENNEL_LEASE_MS="600000") as main:
        retriever = create_retriever(client, "child", [gate("child")])
        execution_id = execute(client, retriever)
        started(kennel, execution_id)
        for child in psutil.Process(main.pid).children():
            child.kill()
        started(kennel, execution_id, times=2)
        kennel.open("child")
        seen = final(client, retriever, execution_id)
    assert (seen["status"], seen["attempt"]) == ("completed", 2)


@pytest.mark.slow
def test_a_worker_whose_connection_died_in_silence_connects_again(
    kennel: Stack, client: httpx.Client
) -> None:
    """Nobody tells it that no message can come any more; the one that was on its way is sent again."""
    with Proxy(urlsplit(kennel.redis_url).port or 0) as proxy:
        through = kennel.redis_url.replace(str(urlsplit(kennel.redis_url).port), str(proxy.port))
        with worker(kennel, "i1", KENNEL_REDIS_URL=through):
            retriever = create_retriever(client, "silent", [gate("silent")])
            kennel.open("silent")
            proxy.silence()
            execution_id = execute(client, retriever)
            assert final(client, retriever, execution_id)["status"] == "completed"
    assert kennel.starts(execution_id) == ["silent"]


def create_retriever_without_worker(kennel: Stack, client: httpx.Client, name: str) -> str:
    """Stages are known from earlier workers; if this test comes first, one must have been there."""
    if client.get("/retrievers/stages").status_code != 200:
        kill(kennel.start_worker("first"))
    return create_retriever(client, name, [gate(name)])
