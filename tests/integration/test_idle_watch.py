"""The idle watch on a real queue, with a consumer that takes nothing."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import redis

from shared.broker import QUEUE_NORMAL
from shared.settings import Settings
from tests.servers import redis_server
from workers import idle_watch
from workers.idle_watch import IdleWatch
from workers.lease.stopping import StopFlag

WAIT_S = 20.0


@pytest.fixture
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of its own, whose queue no other test fills."""
    with redis_server(tmp_path_factory.mktemp("queue")) as url:
        yield url


def test_the_consumers_loop_is_told_that_its_connection_is_lost(
    queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_watch, "_IDLE_S", 0.1)
    monkeypatch.setattr(idle_watch, "_GIVE_UP_S", 1_000.0)
    told: queue.Queue[Callable[[], None]] = queue.Queue()
    consumer = SimpleNamespace(pool=SimpleNamespace(num_processes=1), hub=SimpleNamespace(call_soon=told.put))
    stop = StopFlag()
    with redis.Redis.from_url(queue_url) as server:
        server.lpush(QUEUE_NORMAL, "a message")
        IdleWatch(consumer, Settings(redis_url=queue_url, sweep_ms=100), stop, lambda: 0)
        try:
            with pytest.raises(redis.ConnectionError, match="took no message"):
                told.get(timeout=WAIT_S)()
        finally:
            stop.set()
