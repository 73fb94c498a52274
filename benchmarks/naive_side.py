"""The naive application as it is measured: one API process, a worker with Celery's defaults."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.load import Requests
from benchmarks.naive_app import NOOP_TASK, REDIS_URL_VARIABLE, RUN_TASK, STAGES, make_celery
from benchmarks.processes import Process, running, wait_for
from benchmarks.servers import HOST, QUERY, START_S, RedisServer, redis_server
from ops.ports import free_port

_QUEUE, _HELD_QUEUE = "celery", "held"
_POOL_CHILDREN = 2


class Naive:
    """One API process, its Redis server, and a worker when asked for."""

    def __init__(
        self, directory: Path, port: int, redis: RedisServer, api: Process, env: dict[str, str]
    ) -> None:
        self.redis = redis
        self.api = api
        self._directory = directory
        self._port = port
        self._env = env
        self._celery = make_celery(redis.url)

    def client(self) -> Client:
        return Client(HOST, self._port, {})

    @contextlib.contextmanager
    def worker(self) -> Iterator[Process]:
        """A worker with Celery's defaults (prefork, no task events), ready, for the time of the block."""
        arguments = (
            "-m",
            "celery",
            "-A",
            "benchmarks.naive_app:celery_app",
            "worker",
            f"--concurrency={_POOL_CHILDREN}",
        )
        with running("worker", (sys.executable, *arguments), self._env, self._directory) as process:
            wait_for(self._is_ready, process, START_S, "the naive worker answers")
            yield process

    def _is_ready(self) -> bool:
        return bool(self._celery.control.ping(timeout=1.0))

    def submits(self) -> Requests:
        body = json.dumps({"inputs": {"query": QUERY}})
        headers = {"Content-Type": "application/json"}
        return Requests(HOST, self._port, "POST", ["/executions"], headers, body)

    def polls(self, execution_ids: Sequence[str]) -> Requests:
        return Requests(HOST, self._port, "GET", [f"/executions/{each}" for each in execution_ids], {})

    def begin(self, count: int) -> list[str]:
        started = [str(uuid.uuid4()) for _ in range(count)]
        for execution_id in started:
            self._celery.backend.store_result(execution_id, {"stage": 1, "of": STAGES}, "PROGRESS")
        return started

    def finish(self, execution_ids: Sequence[str]) -> None:
        for execution_id in execution_ids:
            self._celery.backend.store_result(execution_id, {"inputs": {"query": QUERY}}, "SUCCESS")

    def drain(self) -> None:
        self.redis.client.delete(_QUEUE)

    def hold_noops(self, count: int) -> None:
        """Put no-op tasks where the worker does not look, until `release`."""
        self._hold(NOOP_TASK, [], count)

    def hold_runs(self, count: int) -> None:
        """As `hold_noops`, tasks of three stages that report their progress."""
        self._hold(RUN_TASK, [{"query": QUERY}], count)

    def _hold(self, task: str, arguments: list[Any], count: int) -> None:
        with self._celery.producer_or_acquire() as producer:
            for _ in range(count):
                self._celery.send_task(task, arguments, queue=_HELD_QUEUE, producer=producer)

    def release(self) -> None:
        self.redis.client.rename(_HELD_QUEUE, _QUEUE)

    def waiting(self) -> int:
        """Tasks in the queue; once it is empty, those in the worker's hands. One round trip until then."""
        return int(self.redis.client.llen(_QUEUE)) or int(self.redis.client.hlen("unacked"))


@contextlib.contextmanager
def naive_running(directory: Path) -> Iterator[Naive]:
    """Redis and API, ready; logs of all in `directory`."""
    directory.mkdir()
    with redis_server("redis", directory) as redis:
        port = free_port(HOST)
        env = dict(os.environ) | {REDIS_URL_VARIABLE: redis.url}
        arguments = (
            "-m",
            "uvicorn",
            "benchmarks.naive_app:app",
            f"--host={HOST}",
            f"--port={port}",
            "--no-access-log",
        )
        with running("api", (sys.executable, *arguments), env, directory) as api:
            with contextlib.closing(Client(HOST, port, {})) as client:
                wait_for(lambda: _is_live(client), api, START_S, "the naive API answers")
            yield Naive(directory, port, redis, api, env)


def _is_live(client: Client) -> bool:
    try:
        client.call("GET", "/openapi.json")
    except OSError:
        client.close()
        return False
    return True
