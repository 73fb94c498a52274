"""Streams and the processes behind them: several APIs, a thousand clients, stops, and clients that leave."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from shared.stores.execution_events import FIRST_ID
from tests.contract.check import check_error
from tests.contract.scenes import retriever, unique
from tests.events import events_of, following
from tests.servers import free_port
from tests.stack import API_KEY, Stack, ended, execute, gate, kill, poll_until, stack
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

WATCHERS = 1_000


@pytest.fixture(scope="module")
def kennel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose API may open as many sockets as the test does."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8 * WATCHERS), most))
    with stack(tmp_path_factory.mktemp("kennel"), KENNEL_STREAMS_MAX=str(WATCHERS)) as made:
        made.start_worker(threads=2)
        yield made


def running(execution: dict[str, Any]) -> bool:
    return bool(execution["status"] == "processing")


class Waiting:
    """An execution at a gate."""

    def __init__(self, kennel: Stack, client: httpx.Client) -> None:
        self._kennel, self._client = kennel, client
        self.namespace = client.headers["X-Namespace"]
        self._gate = unique("gate")
        self._retriever = retriever(client, gate(self._gate))
        self.execution_id = execute(client, self._retriever)
        self.path = f"/retrievers/{self._retriever}/executions/{self.execution_id}/events"
        poll_until(
            client, self._retriever, self.execution_id, lambda e: e["status"] == "processing", "a start"
        )

    def finish(self) -> None:
        self._kennel.open(self._gate)
        poll_until(self._client, self._retriever, self.execution_id, ended, "the end")


@pytest.fixture
def client(kennel: Stack) -> Iterator[httpx.Client]:
    with kennel.namespace(unique("streams")) as client:
        yield client


@pytest.fixture
def waiting(kennel: Stack, client: httpx.Client) -> Iterator[Waiting]:
    made = Waiting(kennel, client)
    yield made
    made.finish()


@pytest.fixture
def second_api(kennel: Stack) -> Iterator[tuple[str, int]]:
    """The base URL of one more API process, and its id."""
    port = free_port()
    process = kennel.start("api2", "uvicorn", "api.main:create_app", "--factory", f"--port={port}")
    base_url = f"http://127.0.0.1:{port}/v1"

    def answers() -> bool:
        try:
            return httpx.get(f"{base_url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers, 30, "the second API to answer")
    yield base_url, process.pid
    kill(process)


def test_another_process_goes_on_where_the_first_was_cut_off(
    client: httpx.Client, waiting: Waiting, second_api: tuple[str, int]
) -> None:
    with following(client, waiting.path) as events:
        position = next(events).event_id
    waiting.finish()
    other_url, _ = second_api
    with (
        httpx.Client(base_url=other_url, headers=client.headers, timeout=30) as other,
        following(other, waiting.path, position) as events,
    ):
        assert [event.type for event in events] == ["stage_complete", "execution_complete"]


def test_a_stop_ends_streams_well(
    kennel: Stack, client: httpx.Client, waiting: Waiting, second_api: tuple[str, int]
) -> None:
    """The client sees the end of the answer, not of the connection, and the process does not wait for it."""
    other_url, pid = second_api
    process = next(each for each in kennel.processes if each.pid == pid)
    with (
        httpx.Client(base_url=other_url, headers=client.headers, timeout=30) as other,
        following(other, waiting.path) as events,
    ):
        assert next(events).type == "resync"
        process.send_signal(signal.SIGTERM)
        assert list(events) == []
    assert process.wait(20) in (0, -signal.SIGTERM)
    assert "Traceback" not in (kennel.directory / "api2.log").read_text()


class Watcher:
    """A client that is nothing but a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def until(self, text: str) -> bytes:
        """What comes up to this text, and it."""
        async with asyncio.timeout(60):
            return await self._reader.readuntil(text.encode())


@asynccontextmanager
async def watchers(kennel: Stack, waiting: Waiting, count: int) -> AsyncIterator[list[Watcher]]:
    """So many of them; they leave without a word when the block ends."""
    request = (
        f"GET /v1{waiting.path} HTTP/1.1\r\nHost: kennel\r\nAuthorization: Bearer {API_KEY}\r\n"
        f"X-Namespace: {waiting.namespace}\r\n\r\n"
    )
    made: list[Watcher] = []
    try:
        for _ in range(count):
            made.append(Watcher(*await asyncio.open_connection("127.0.0.1", kennel.port)))
            made[-1].writer.write(request.encode())
        yield made
    finally:
        for each in made:
            each.writer.transport.abort()
        await asyncio.gather(*(each.writer.wait_closed() for each in made), return_exceptions=True)


async def all_until(watching: list[Watcher], text: str) -> list[bytes]:
    return await asyncio.gather(*(each.until(text) for each in watching))


def redis_connections(kennel: Stack) -> int:
    with connect(kennel.redis_url) as server:
        return len(server.client_list())


def test_a_thousand_watchers_cost_no_redis_connection(kennel: Stack, waiting: Waiting) -> None:
    async def watch() -> list[bytes]:
        async with watchers(kennel, waiting, 50) as few:  # so that everything is connected that will be
            await all_until(few, '"event_type":"resync"')
        before = redis_connections(kennel)
        async with watchers(kennel, waiting, WATCHERS) as many:
            await all_until(many, '"event_type":"resync"')
            assert redis_connections(kennel) == before
            await asyncio.to_thread(waiting.finish)
            return await all_until(many, '"event_type":"execution_complete"')

    ends = asyncio.run(watch())
    assert len(ends) == WATCHERS
    assert all(b'"event_type":"stage_complete"' in each for each in ends)


def test_clients_that_leave_make_room(kennel: Stack, client: httpx.Client, waiting: Waiting) -> None:
    async def leave() -> None:
        async with watchers(kennel, waiting, WATCHERS) as many:
            await all_until(many, '"event_type":"resync"')
            check_error(await asyncio.to_thread(client.get, waiting.path), 429)

    asyncio.run(leave())

    def has_room() -> bool:
        with client.stream("GET", waiting.path) as answer:
            return answer.status_code == 200

    wait_until(has_room, 20, "room for one more stream")


def test_a_full_process_accepts_no_execution_to_stream(tmp_path: Path) -> None:
    """Else it would run, and its client know nothing of it."""
    with stack(tmp_path, KENNEL_STREAMS_MAX="0") as none:
        none.start_worker()
        with none.namespace("none") as client:
            made = retriever(client, gate("g"))
            refused = client.post(f"/retrievers/{made}/execute", json={"stream": True})
            assert check_error(refused, 429).error.code == "too_many_streams"
            assert int(refused.headers["retry-after"]) == 5
            with connect(none.redis_url) as server:
                assert server.exists(keys.history(made)) == 0


def test_a_stream_outlives_its_worker(kennel: Stack, client: httpx.Client) -> None:
    """The next attempt is told like the first."""
    worker = next(each for each in reversed(kennel.processes) if "celery" in each.args)  # type: ignore[operator]
    name = unique("gate")
    made = retriever(client, gate(name))
    with client.stream("POST", f"/retrievers/{made}/execute", json={"stream": True}) as answer:
        events = events_of(answer)
        seen = [next(events) for _ in range(3)]
        assert (seen[0].event_id, seen[2].type) == (FIRST_ID, "stage_start")
        kill(worker)
        kennel.start_worker("later", threads=2)
        kennel.open(name)
        rest = list(events)
    assert [event.brief for event in rest] == [
        ("execution_status", "pending"),
        ("execution_status", "processing"),
        ("stage_start", name),
        ("stage_complete", name),
        ("execution_complete", "completed"),
    ]
    assert rest[-1].data["attempt"] == 2
