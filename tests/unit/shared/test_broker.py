"""The message that submit puts into the queue is the one that Celery itself would have sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from shared.broker import QUEUE_NORMAL, RUN_TASK, make_celery, message_template
from shared.settings import Settings
from tests.servers import redis_server

EXECUTION_ID = "exec_0000000000000001"
SHADOW = "books@ns_1"


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("broker")
    with redis_server(directory) as url:
        yield url


@pytest.fixture
def celery(server_url: str) -> Iterator[Celery]:
    with make_celery(Settings(redis_url=server_url)) as app:
        yield app


@pytest.fixture
def queue(server_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server_url) as client:
        client.delete(QUEUE_NORMAL)
        yield client


def filled() -> dict[str, Any]:
    """The template as the Lua function fills it."""
    text = message_template()
    for name, value in (
        ("@ID@", EXECUTION_ID),
        ("@SEQ@", "7"),
        ("@SHADOW@", SHADOW),
        ("@QUEUE@", QUEUE_NORMAL),
    ):
        assert name in text
        text = text.replace(name, value)
    message: dict[str, Any] = json.loads(text)
    return message


def sent_by_celery(app: Celery, queue: redis.Redis) -> dict[str, Any]:
    app.send_task(
        RUN_TASK, args=(EXECUTION_ID,), task_id=EXECUTION_ID, shadow=SHADOW, headers={"seq": 7},
        queue=QUEUE_NORMAL, ignore_result=True,
    )  # fmt: skip
    raw = queue.rpop(QUEUE_NORMAL)
    assert isinstance(raw, bytes)
    message: dict[str, Any] = json.loads(raw)
    return message


def test_only_encoding_tag_origin_and_reply_differ(celery: Celery, queue: redis.Redis) -> None:
    ours, theirs = filled(), sent_by_celery(celery, queue)
    assert ours.pop("body") == base64.b64decode(theirs.pop("body")).decode()
    assert theirs["properties"].pop("body_encoding") == "base64"
    assert "body_encoding" not in ours["properties"]
    for name in ("delivery_tag", "reply_to"):
        assert name in ours["properties"]
        del ours["properties"][name], theirs["properties"][name]
    assert ours["headers"].pop("origin") == "kennel"
    assert theirs["headers"].pop("origin")
    assert ours == theirs


def test_kombu_reads_it_as_celerys_own(celery: Celery, queue: redis.Redis) -> None:
    queue.lpush(QUEUE_NORMAL, json.dumps(filled()))
    with celery.connection_for_read() as connection:
        received = connection.SimpleQueue(celery.amqp.queues[QUEUE_NORMAL]).get(timeout=10)
        args, kwargs, embed = received.payload
        received.ack()
    assert (args, kwargs) == ([EXECUTION_ID], {})
    assert embed["chain"] is None
    assert received.headers["task"] == RUN_TASK
    assert received.headers["id"] == EXECUTION_ID
    assert received.headers["seq"] == 7
    assert received.headers["shadow"] == SHADOW


def test_ids_and_numbers_stand_where_the_scripts_look_for_them() -> None:
    """shared/lua finds both by pattern, without decoding JSON."""
    text = message_template()
    assert '"id": "@ID@"' in text
    assert '"seq": @SEQ@' in text
