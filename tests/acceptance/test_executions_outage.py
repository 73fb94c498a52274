"""No worker, and no Redis: what clients are told meanwhile, and that nothing accepted is lost."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest

from shared import keys
from shared.broker import QUEUE_NORMAL
from shared.redis_sync import connect
from tests.contract.check import check_error, check_execution, check_list
from tests.contract.scenes import document_ids, post_execute, read, retriever, search, unique, write
from tests.servers import free_port, start_redis
from tests.stack import Stack, ended, execute, kill, poll_until
from tests.waiting import wait_until
from workers.stages.registry import catalogue

pytestmark = pytest.mark.timeout(120)


class Frail:
    """Redis that can be killed and started again on its data, an API, and no worker."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory / "redis", free_port()
        self.directory.mkdir()
        self.server: subprocess.Popen[bytes] = start_redis(self.directory, self.port)
        redis_url = f"redis://127.0.0.1:{self.port}/0"
        self.kennel = Stack(directory, redis_url, free_port(), {"KENNEL_REDIS_TIMEOUT_S": "0.5"})
        self.kennel.start_api()
        with connect(self.kennel.redis_url) as server:  # as the first worker does
            entries = {stage_id: orjson.dumps(entry) for stage_id, entry in catalogue().items()}
            server.hset(keys.CATALOGUE, mapping=entries)

    def kill(self) -> None:
        """Returns once the API knows. A submit that met the dead connection first would be answered 504."""
        kill(self.server)
        wait_until(lambda: self.kennel.client.get("/health").status_code == 503, 20, "the API to miss Redis")

    def restart(self) -> None:
        self.server = start_redis(self.directory, self.port)
        wait_until(lambda: self.kennel.client.get("/health").status_code == 200, 20, "the API to find Redis")

    def stop(self) -> None:
        self.kennel.stop()
        kill(self.server)


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frail]:
    made = Frail(tmp_path_factory.mktemp("frail"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def client(frail: Frail) -> Iterator[httpx.Client]:
    with frail.kennel.namespace("frail") as client:
        client.post("/collections", json={"collection_name": "books"})
        write(client, "books", [{"document_id": "doc_1", "text": "about trains"}])
        yield client


def made_retriever(client: httpx.Client) -> str:
    return retriever(client, search("trains"), collection_identifiers=["books"])


def history(client: httpx.Client, made: str) -> list[str]:
    answer = client.post(f"/retrievers/{made}/executions/list?limit=1000")
    return [line.execution_id for line in check_list(answer.json()).results]


def test_without_a_worker_an_execution_is_accepted_and_says_why_it_waits(client: httpx.Client) -> None:
    made = made_retriever(client)
    answer = post_execute(client, made, Prefer="wait=60")  # longer than this client waits for an answer
    seen = check_execution(answer.json())
    assert (seen.status, answer.json()["wait_reason"]) == ("pending", "no_worker_online")
    assert answer.headers["retry-after"] == "5"
    assert seen.execution_id in history(client, made)
    assert client.get("/health").json()["status"] == "degraded"


def test_polls_without_a_worker_agree_over_time(client: httpx.Client) -> None:
    """The reason it waits for is part of the ETag; what is remembered of it must not make it flicker."""
    made = made_retriever(client)
    execution_id = execute(client, made)
    etag = read(client, made, execution_id).headers["etag"]
    ends_at = time.monotonic() + 1.5  # longer than anything is remembered
    while time.monotonic() < ends_at:
        assert read(client, made, execution_id, **{"If-None-Match": etag}).status_code == 304
    held = read(client, made, execution_id, **{"If-None-Match": etag, "Prefer": "wait=60"})
    assert held.status_code == 304  # and before the 60 s are over, since nobody could change it


def test_everything_is_503_while_redis_is_away_and_there_again_afterwards(
    frail: Frail, client: httpx.Client
) -> None:
    made = made_retriever(client)
    before = [execute(client, made) for _ in range(3)]
    answers = {execution_id: read(client, made, execution_id).json() for execution_id in before}
    frail.kill()
    name = unique("during")
    for method, path, body in (
        ("POST", f"/retrievers/{made}/execute", {}),
        ("GET", f"/retrievers/{made}/executions/{before[0]}", None),
        ("POST", f"/retrievers/{made}/executions/list", {}),
        ("POST", "/collections", {"collection_name": name}),
        ("POST", "/collections/list", {}),
        ("POST", "/retrievers/list", {}),
        ("POST", "/retrievers", {"retriever_name": name, "stages": [search("trains")]}),
        ("DELETE", f"/retrievers/{made}", None),
    ):
        refused = client.request(method, path, json=body)
        envelope = check_error(refused, 503)
        assert int(refused.headers["retry-after"]) >= 1, path
        assert envelope.error.type == "ServiceUnavailableError"
    frail.restart()
    assert {execution_id: read(client, made, execution_id).json() for execution_id in before} == answers
    assert history(client, made) == before[::-1]
    assert client.get(f"/collections/{name}").status_code == 404
    assert client.get(f"/retrievers/{name}").status_code == 404
    assert client.post("/collections", json={"collection_name": name}).status_code == 200


def test_a_held_submit_is_answered_as_accepted_when_redis_goes_away(
    frail: Frail, client: httpx.Client
) -> None:
    """A 503 would say that nothing was stored, and a client that sends it again would run it twice."""
    made = made_retriever(client)
    with connect(frail.kennel.redis_url) as server, ThreadPoolExecutor(2) as pool:
        single = pool.submit(post_execute, client, made, Prefer="wait=20")
        body, held = {"queries": [{"inputs": {}}]}, {"Prefer": "wait=20"}
        batch = pool.submit(client.post, f"/retrievers/{made}/execute/batch", json=body, headers=held)
        wait_until(lambda: server.zcard(keys.history(made)) == 2, 20, "both to be accepted")
        server.ping()  # so the API has been told, too
        kill(frail.server)
        answers = [single.result().json(), *batch.result().json()["results"]]
    assert [each["status"] for each in answers] == ["pending", "pending"]
    frail.restart()
    assert set(history(client, made)) == {each["execution_id"] for each in answers}


def test_what_was_acknowledged_is_there_after_a_kill_amid_submits(frail: Frail, client: httpx.Client) -> None:
    made = made_retriever(client)
    enough = threading.Event()
    acknowledged: list[str] = []
    doubtful: list[str] = []

    def submit_until_refused() -> None:
        while (answer := post_execute(client, made)).status_code == 200:
            acknowledged.append(answer.json()["execution_id"])
            if len(acknowledged) >= 100:
                enough.set()
        if answer.status_code == 504:
            doubtful.append(answer.json()["error"]["details"]["execution_id"])
        else:
            check_error(answer, 503)

    with ThreadPoolExecutor(8) as pool:
        submitters = [pool.submit(submit_until_refused) for _ in range(8)]
        assert enough.wait(30)
        kill(frail.server)
        for submitter in submitters:
            submitter.result()
    frail.restart()
    kept = set(history(client, made))
    assert set(acknowledged) <= kept <= {*acknowledged, *doubtful}
    with connect(frail.kennel.redis_url) as server:
        waiting = {each.decode() for each in server.zrange(keys.pending(QUEUE_NORMAL), 0, -1)}
        sent = server.llen(QUEUE_NORMAL)
        parked = sum(server.zcard(name) for name in server.scan_iter("kennel:parked:*"))
    assert kept <= waiting
    assert sent + parked == len(waiting)


def test_a_worker_that_comes_late_runs_what_waited(frail: Frail, client: httpx.Client) -> None:
    made = made_retriever(client)
    waiting = [execute(client, made) for _ in range(3)]
    worker = frail.kennel.start_worker("late")
    for execution_id in waiting:
        seen = poll_until(client, made, execution_id, ended, "its turn")
        assert (seen["status"], document_ids(seen)) == ("completed", ["doc_1"])
    kill(worker, signal.SIGTERM)  # it leaves the list of those online

    def nobody_online() -> bool:
        return bool(client.get("/health").json()["workers_online"] == 0)

    wait_until(nobody_online, 20, "the worker to be gone")
