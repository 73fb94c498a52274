"""One Redis server and one API for the whole run; every test gets a namespace of its own."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
import redis
import uvicorn
from hypothesis import settings as hypothesis_settings

from api.main import create_app
from shared import keys
from shared.redis_sync import connect
from shared.settings import Settings
from tests.servers import redis_server
from tests.waiting import wait_until
from workers.stages.registry import catalogue

API_KEY = "sk_" + "test" * 8
START_TIMEOUT_S = 20.0

# An example that takes long on a busy machine is no failure.
hypothesis_settings.register_profile("kennel", deadline=None)
hypothesis_settings.load_profile("kennel")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("redis")
    with redis_server(directory) as url:
        yield url


@pytest.fixture(scope="session")
def settings(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Leases and heartbeats are short, so that recovery is seen within a test."""
    return Settings(
        redis_url=redis_url,
        data_dir=tmp_path_factory.mktemp("data"),
        api_key=API_KEY,
        lease_ms=1_500,
        heartbeat_ms=300,
        sweep_ms=200,
        body_max_bytes=2_000_000,
    )


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def published_catalogue(redis_url: str) -> None:
    """The stage catalogue, as a worker publishes it when it starts."""
    with connect(redis_url) as client:
        entries = {stage_id: orjson.dumps(entry) for stage_id, entry in catalogue().items()}
        client.hset(keys.CATALOGUE, mapping=entries)


@pytest.fixture(scope="session")
def api_url(settings: Settings, published_catalogue: None) -> Iterator[str]:
    """The API in a thread of this process, on a port that the kernel chooses."""
    with serve(settings) as url:
        yield url


@contextmanager
def serve(settings: Settings) -> Iterator[str]:
    """The base URL of an API with these settings; it ends with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings), log_config=None, loop="uvloop", http="httptools", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, START_TIMEOUT_S, "the API to start")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_S)


@pytest.fixture(scope="session")
def root(api_url: str) -> Iterator[httpx.Client]:
    """A client with the bootstrap key and no namespace."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30) as client:
        yield client


@pytest.fixture
def namespace(root: httpx.Client) -> str:
    """Id of a namespace that nobody else uses."""
    answer = root.post("/v1/namespaces", json={"namespace_name": f"test-{secrets.token_hex(8)}"})
    namespace_id: str = answer.raise_for_status().json()["namespace_id"]
    return namespace_id


@pytest.fixture
def api(api_url: str, namespace: str) -> Iterator[httpx.Client]:
    """A client with the bootstrap key, inside a fresh namespace."""
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": namespace}
    with httpx.Client(base_url=api_url, headers=headers, timeout=30) as client:
        yield client
