"""The proxy of the chaos suite does to connections what it says."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from shared.redis_sync import connect
from tests.chaos.proxy import Half, Proxy


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    with Proxy(urlsplit(redis_url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with connect(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=0.5) as client:
        assert client.ping()
        yield client


@pytest.mark.parametrize(("half", "stored"), [("request", None), ("reply", b"1")])
def test_a_command_is_cut_in_the_middle(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis, half: Half, stored: bytes | None
) -> None:
    """Half a request does nothing; half a reply leaves its client without an answer."""
    key = f"test:proxy:{half}"
    redis_client.delete(key)
    proxy.mark(half)
    with pytest.raises(redis.ConnectionError):
        client.set(key, 1, ex=60)
    assert redis_client.get(key) == stored
    assert client.ping()


def test_silent_connections_stay_open_and_new_ones_work(proxy: Proxy, client: redis.Redis) -> None:
    assert proxy.silence() == 1
    with pytest.raises(redis.TimeoutError):
        client.ping()
    assert client.ping()  # by a new connection


def test_it_refuses_and_accepts_again_on_the_same_port(proxy: Proxy, client: redis.Redis) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.accept()
    assert proxy.port == port
    assert client.ping()


def test_a_server_that_is_away_is_a_broken_connection() -> None:
    with (
        Proxy(1) as proxy,
        connect(f"redis://127.0.0.1:{proxy.port}/0", timeout_s=0.5) as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()
