"""Batches with real processes: thousands of lines, killed workers, broken-off and repeated uploads."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_error, check_execution
from tests.contract.scenes import failing, keep, retriever, unique
from tests.servers import free_port, start_redis
from tests.stack import Stack, gate, kill, stack
from tests.waiting import wait_until

LINES = 10_000
PADDING = "x" * 2_000  # 10,000 such lines are over 20 MB
# What the process may grow by while it takes them: far less than the body, let alone what is made of it.
GROWTH_MAX_BYTES = 8_000_000


def numbered(count: int, **inputs: Any) -> Iterator[bytes]:
    for number in range(1, count + 1):
        yield orjson.dumps({"inputs": {"n": number, **inputs}, "id": f"row-{number}"}) + b"\n"


def upload(
    client: httpx.Client, made: str, content: Iterator[bytes] | bytes, key: str | None = None
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/batches?retriever={made}", content=content, headers=headers, timeout=50)


def uploaded(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


def read(client: httpx.Client, batch_id: str, **headers: str) -> dict[str, Any]:
    """The batch, after checking that its counters balance."""
    answer = client.get(f"/batches/{batch_id}", headers=headers, timeout=40)
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    counts = seen["counts"]
    assert seen["submitted"] == sum(counts.values())
    assert seen["finished"] == seen["submitted"] - counts["pending"] - counts["processing"]
    assert seen["failed"] == counts["failed"]
    return seen


def when_ended(client: httpx.Client, batch_id: str) -> dict[str, Any]:
    """Held, as a client would wait for it."""
    return wait_until(
        lambda: (seen := read(client, batch_id, Prefer="wait=20"))["status"] == "ended" and seen,
        50,
        "the end of the batch",
    )


def results(client: httpx.Client, batch_id: str, **query: Any) -> list[dict[str, Any]]:
    with client.stream("GET", f"/batches/{batch_id}/results", params=query) as answer:
        assert answer.status_code == 200
        return [orjson.loads(line) for line in answer.iter_lines()]


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {status: count for status, count in counts.items() if count}


@pytest.fixture(scope="module")
def worker(kennel: Stack) -> None:
    kennel.start_worker("batches", KENNEL_TASK_EVENTS="false")


@pytest.fixture(scope="module")
def batches(kennel: Stack, worker: None) -> Iterator[httpx.Client]:
    with kennel.namespace("batches") as client:
        client.post("/collections", json={"collection_name": "empty"})
        yield client


@pytest.mark.slow
def test_ten_thousand_lines_do_not_fill_the_memory(tmp_path: Path) -> None:
    with stack(tmp_path) as kennel:
        worker = kennel.start_worker()
        with kennel.namespace("large") as client:
            client.post("/collections", json={"collection_name": "empty"})
            made = retriever(client, keep("genre", "eq", "crime"))
            kill(worker, signal.SIGTERM)
            assert uploaded(upload(client, made, numbered(500, text=PADDING)))["accepted"] == 500  # warm
            api = psutil.Process(kennel.processes[0].pid)
            before = api.memory_info().rss
            peak = before
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(upload, client, made, numbered(LINES + 3, text=PADDING), "k")
                while not sending.done():
                    peak = max(peak, api.memory_info().rss)
            seen = uploaded(sending.result())
            assert (seen["accepted"], seen["refused"], seen["lines"]) == (LINES, 3, LINES + 3)
            assert [each["line"] for each in seen["refused_lines"]] == [LINES + n for n in (1, 2, 3)]
            assert peak - before < GROWTH_MAX_BYTES
            batch = read(client, seen["batch_id"])
            assert nonzero(batch["counts"]) == {"pending": LINES}
            again = uploaded(upload(client, made, numbered(LINES, text=PADDING), "k"))
            assert (again["batch_id"], again["replayed"]) == (seen["batch_id"], LINES)
            assert read(client, seen["batch_id"])["submitted"] == LINES
            with connect(kennel.redis_url) as redis:
                assert redis.zcard(keys.pending("kennel.normal")) == LINES + 500


def test_a_batch_is_counted_to_its_end_and_read_in_line_order(batches: httpx.Client) -> None:
    good = retriever(batches, keep("genre", "eq", "crime"))
    skips = retriever(batches, failing(on_error="skip"))
    fails = retriever(batches, failing())
    lines = list(numbered(120))
    for position, made in ((7, skips), (50, fails), (51, fails)):
        lines[position - 1] = orjson.dumps({"retriever": made, "id": f"row-{position}"}) + b"\n"
    seen = uploaded(upload(batches, good, iter(lines)))
    batch = when_ended(batches, seen["batch_id"])
    assert nonzero(batch["counts"]) == {"completed": 117, "degraded": 1, "failed": 2}
    assert (batch["finished"], batch["failed"], batch["complete"], batch["eta_s"]) == (120, 2, True, 0)
    assert batch["created_at"] <= batch["started_at"] <= batch["ended_at"]
    assert batch["rate_per_s"] > 0 and batch["rate_over"] == "whole_run"
    rows = results(batches, seen["batch_id"])
    assert [(row["line"], row["id"]) for row in rows] == [(n, f"row-{n}") for n in range(1, 121)]
    for row in rows:
        check_execution(row)
        assert row["expired"] is False
    assert [row["line"] for row in results(batches, seen["batch_id"], status="failed")] == [50, 51]
    assert [row["line"] for row in results(batches, seen["batch_id"], after=118)] == [119, 120]


def test_whoever_waits_hears_of_the_end_of_the_last_one(kennel: Stack, batches: httpx.Client) -> None:
    name = unique("last")
    seen = uploaded(upload(batches, retriever(batches, gate(name)), numbered(3)))
    batch_id = seen["batch_id"]
    wait_until(lambda: read(batches, batch_id)["counts"]["processing"] == 3, 20, "their start")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(read, batches, batch_id, Prefer="wait=40")
        kennel.open(name)
        assert nonzero(held.result(30)["counts"]) == {"completed": 3}


def test_a_cancelled_batch_frees_the_worker(kennel: Stack, batches: httpx.Client) -> None:
    seen = uploaded(upload(batches, retriever(batches, gate(unique("never"))), numbered(50)))
    batch_id = seen["batch_id"]
    wait_until(lambda: read(batches, batch_id)["counts"]["processing"] == 4, 20, "their start")
    done = batches.post(f"/batches/{batch_id}/cancel").json()
    assert (done["removed_from_queue"], done["stopping"], done["already_terminal"]) == (46, 4, 0)
    assert nonzero(read(batches, batch_id)["counts"]) == {"cancelled": 50}
    following = uploaded(upload(batches, retriever(batches, keep("genre", "eq", "crime")), numbered(5)))
    assert nonzero(when_ended(batches, following["batch_id"])["counts"]) == {"completed": 5}


@pytest.mark.slow
@pytest.mark.parametrize("task_events", ["true", "false"])
def test_the_counts_are_exact_whatever_workers_are_killed(tmp_path: Path, task_events: str) -> None:
    with stack(tmp_path, KENNEL_TASK_EVENTS=task_events) as kennel:
        doomed = [kennel.start_worker(f"doomed-{n}") for n in (1, 2)]
        with kennel.namespace("killing") as client:
            client.post("/collections", json={"collection_name": "empty"})
            held = retriever(client, gate("held"))
            quick = retriever(client, keep("genre", "eq", "crime"))
            lines = [
                orjson.dumps({"retriever": held if n % 10 == 0 else quick, "inputs": {"n": n}}) + b"\n"
                for n in range(1, 301)
            ]
            batch_id = uploaded(upload(client, quick, iter(lines)))["batch_id"]
            wait_until(lambda: read(client, batch_id)["counts"]["processing"] == 8, 30, "busy workers")
            for worker in doomed:
                kill(worker, signal.SIGKILL)
            stuck = read(client, batch_id)
            assert stuck["counts"]["processing"] == 8 and stuck["submitted"] == 300
            kennel.start_worker("heir")
            # four of the heir's own: what the killed ones held is back in the queue
            wait_until(lambda: read(client, batch_id)["counts"]["processing"] == 4, 30, "the recovery")
            kennel.open("held")
            assert nonzero(when_ended(client, batch_id)["counts"]) == {"completed": 300}
            attempts = [row["attempt"] for row in results(client, batch_id, status="completed")]
            assert (len(attempts), attempts.count(2)) == (300, 8)


@pytest.mark.slow
def test_an_api_that_is_killed_while_it_receives_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with stack(tmp_path) as kennel:
        worker = kennel.start_worker()
        with kennel.namespace("broken") as client:
            made = retriever(client, gate("held"))
            kill(worker, signal.SIGTERM)
            lines = list(numbered(400))

            def until_killed() -> Iterator[bytes]:
                yield b"".join(lines[:150])
                wait_until(lambda: newest(client) == 150, 20, "the first lines")
                kill(kennel.processes[0])
                yield b"".join(lines[150:])

            with pytest.raises(httpx.TransportError):
                upload(client, made, until_killed(), "k")
            kennel.start_api()
            batch = client.get("/batches").json()["results"][0]
            assert (batch["submitted"], batch["complete"], batch["counts"]["pending"]) == (150, False, 150)
            again = uploaded(upload(client, made, iter(lines), "k"))
            assert (again["batch_id"], again["accepted"], again["replayed"]) == (batch["batch_id"], 400, 150)
            kennel.open("held")
            kennel.start_worker("w2")
            ended = when_ended(client, batch["batch_id"])
            assert (nonzero(ended["counts"]), ended["complete"]) == ({"completed": 400}, True)
            assert {
                tuple(kennel.starts(row["execution_id"])) for row in results(client, batch["batch_id"])
            } == {("held",)}


@pytest.mark.slow
def test_a_redis_that_dies_in_the_middle_ends_the_upload_and_a_repeat_finishes_it(tmp_path: Path) -> None:
    directory = tmp_path / "redis"
    directory.mkdir()
    port = free_port()
    redis = start_redis(directory, port)
    lines = list(numbered(400))
    kennel = Stack(tmp_path, f"redis://127.0.0.1:{port}/0", free_port(), {"KENNEL_REDIS_TIMEOUT_S": "1"})
    try:
        kennel.start_api()
        worker = kennel.start_worker()
        with kennel.namespace("outage") as client:
            made = retriever(client, gate("never"))
            kill(worker, signal.SIGTERM)

            def until_redis_dies() -> Iterator[bytes]:
                yield b"".join(lines[:150])
                wait_until(lambda: newest(client) == 150, 20, "the first lines")
                redis.kill()
                redis.wait(10)
                yield b"".join(lines[150:])

            answer = upload(client, made, until_redis_dies(), "k")
            envelope = check_error(answer, answer.status_code)
            assert answer.status_code in (503, 504)
            assert (envelope.error.details or {})["accepted"] == 150
            assert "repeat it with the same Idempotency-Key" in envelope.error.message
            redis = start_redis(directory, port)
            batch_id = (envelope.error.details or {})["batch_id"]
            wait_until(
                lambda: client.get(f"/batches/{batch_id}").status_code == 200, 20, "the API to be back"
            )
            again = uploaded(upload(client, made, iter(lines), "k"))
            assert (again["batch_id"], again["accepted"], again["refused"]) == (batch_id, 400, 0)
            batch = read(client, batch_id)
            assert (nonzero(batch["counts"]), batch["complete"]) == ({"pending": 400}, True)
    finally:
        kennel.stop()
        redis.kill()
        redis.wait(10)


def newest(client: httpx.Client) -> int:
    """How many lines the newest batch has."""
    found = client.get("/batches?limit=1").json()["results"]
    return found[0]["submitted"] if found else 0
