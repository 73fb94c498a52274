"""The record's functions on a server of their own, which each test finds empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis

from shared import broker
from shared.models.execution import Detail, ExecutionRequest, figures
from shared.packing import unpacked
from shared.redis_sync import connect, fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger, Outcome
from tests.servers import redis_server

QUEUE = broker.QUEUE_NORMAL
RETRIEVER = "ret_1"
DETAIL = Detail({}, {}).to_json()
Submit = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("redis")
    with redis_server(directory) as url:
        yield url


@pytest.fixture
def settings(server_url: str) -> Settings:
    return Settings(redis_url=server_url)


@pytest.fixture
def client(server_url: str) -> Iterator[redis.Redis]:
    client = connect(server_url)
    client.flushdb()
    client.hset(f"kennel:retriever:{RETRIEVER}", "version", "1")
    client.hset("kennel:collection:col_1", "body", "{}")
    yield client
    client.close()


@pytest.fixture
def ledger(client: redis.Redis, settings: Settings) -> Ledger:
    return Ledger(client, settings, "worker-a")


@pytest.fixture
def submit(client: redis.Redis) -> Submit:
    """Submits an execution; returns the function's reply. Ids are exec_1, exec_2 …"""
    numbers = count(1)

    def call(execution_id: str = "", place: Sequence[Any] = (), **over: Any) -> list[Any]:
        """`place` is what submit_line takes before the args of submit."""
        execution_id = execution_id or f"exec_{next(numbers)}"
        values: dict[str, Any] = {
            "namespace": "ns_1",
            "retriever": RETRIEVER,
            "version": "1",
            "queue": QUEUE,
            "request": ExecutionRequest({"query": "x"}, ["col_1"]).to_json(),
            "head": f'{{"execution_id":"{execution_id}"',
            "detail": DETAIL,
            "first_stage": '"first"',
            "shadow": "books@ns_1",
            "figures": figures(),
            "about": '"inputs_hash":null',
            "template": broker.message_template(),
            "watcher": "",
            "idempotency": "",
            "body": "",
            "idempotency_ttl_s": 3600,
            "queue_max": 1000,
            "summary_ttl_s": 3600,
            "history_max": 1000,
            "definition": "",
            "stream": "",
            "alert_id": "",
            "alert": "",
            "collections": ["col_1"],
            **over,
        }
        *scalars, collections = values.values()
        function = "submit_line" if place else "submit"
        reply: list[Any] = fcall(client, function, *place, execution_id, *scalars, *collections)
        return reply

    return call


def outcome(status: str = "completed", **over: Any) -> Outcome:
    values: dict[str, Any] = {
        "status": status,
        "error": None,
        "stages_completed": 3,
        "detail": DETAIL,
        "figures": figures(returned=1),
        **over,
    }
    return Outcome(**values)


def answer(client: redis.Redis, execution_id: str) -> bytes:
    """What a poll would return."""
    head, state, detail = client.hmget(f"kennel:exec:{execution_id}", "head", "state", "detail")
    return head + state + unpacked(detail)
