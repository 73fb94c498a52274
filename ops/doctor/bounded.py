"""Reading much of Redis in small steps: it answers everybody else in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from redis import Redis

from shared.redis_sync import Argument

T = TypeVar("T")

STEP = 500  # keys, entries or commands at a time


def in_steps(items: Iterator[T]) -> Iterator[list[T]]:
    """Lists of at most STEP."""
    while step := list(islice(items, STEP)):
        yield step


def ask(redis: Redis, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
    """The replies, in one round trip; each as redis-py hands it out (HGETALL: a dict)."""
    with redis.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = pipeline.execute()
    return replies


def messages(redis: Redis, queue: str) -> Iterator[str]:
    """The messages of a queue, the newest first.

    Others come and go meanwhile: one that stays is not missed, because what is pushed in front only moves it
    further back; it may be seen twice.
    """
    start = 0
    while step := redis.lrange(queue, start, start + STEP - 1):
        yield from step  # type: ignore[misc]
        start += STEP
