"""A real Redis server per test module, started with the product's own configuration."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from ops.data_dir import DataDir
from ops.redis_probe import answers, connect
from ops.redis_server import embedded_redis

START_S = 20.0


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("kennel")
    with DataDir(directory).locked() as lock_fd:
        program, url = embedded_redis(DataDir(directory), lock_fd)
        process = subprocess.Popen(program.argv, stdout=subprocess.DEVNULL)
        try:
            give_up_at_s = time.monotonic() + START_S
            while not answers(url):
                assert time.monotonic() < give_up_at_s, "the embedded Redis did not start"
                time.sleep(0.02)
            yield url
        finally:
            process.kill()  # it does not listen to SIGTERM while a test makes it write a first AOF
            process.wait(10)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url) as client:
        client.flushdb()
        yield client


@pytest.fixture
def new_children() -> Callable[[], set[psutil.Process]]:
    """The processes under this one that were not there when the test began."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: set(psutil.Process().children(recursive=True)) - before
