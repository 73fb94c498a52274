"""The idle watch on a real queue, with a consumer that takes nothing."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Consumer, Queue

from shared.broker import QUEUE_NORMAL, make_celery
from shared.settings import Settings
from tests.chaos.proxy import Proxy
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
    told: queue.Queue[tuple[Callable[..., None], object]] = queue.Queue()
    consumer = SimpleNamespace(
        pool=SimpleNamespace(num_processes=1),
        hub=SimpleNamespace(call_soon=lambda *call: told.put(call)),
        connection=SimpleNamespace(connection=SimpleNamespace(channels=[])),
    )
    stop = StopFlag()
    with redis.Redis.from_url(queue_url) as server:
        server.lpush(QUEUE_NORMAL, "a message")
        IdleWatch(consumer, Settings(redis_url=queue_url, sweep_ms=100), stop, lambda: 0)
        try:
            with pytest.raises(redis.ConnectionError, match="took no message"):
                lose_connection, argument = told.get(timeout=WAIT_S)
                lose_connection(argument)
        finally:
            stop.set()


@pytest.mark.timeout(60)
def test_a_consumer_whose_connection_is_silent_is_closed_without_waiting_for_it(redis_url: str) -> None:
    """Its channel, when it is closed, reads what is still to come of a BRPOP."""
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        patient = make_celery(Settings(redis_url=f"redis://127.0.0.1:{proxy.port}/0"))
        patient.conf.broker_transport_options = {
            **patient.conf.broker_transport_options,
            "socket_timeout": 3_600,
        }
        with patient.connection_for_read() as connection:
            channel = connection.channel()
            Consumer(channel, [Queue("test:idle")], callbacks=[print]).consume()
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.1)
            assert channel._in_poll
            assert proxy.silence() > 0
            idle_watch.close_sockets(connection)
            channel.close()
