"""What the API remembers of its workers: answers and ETags are made of it, so it must not come and go."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from api.services.operations.health import HealthService
from shared.errors import Unavailable
from shared.redis_link import RedisLink
from shared.settings import Settings


class Redis:
    """Answers `online` with what the test says."""

    workers = 0
    is_away = False

    async def fcall(self, function: str, *args: object) -> list[int]:
        assert function == "online"
        if self.is_away:
            raise Unavailable("Redis is away")
        return [self.workers, 0, 0, 0, 0]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def made(redis: Any, clock: Clock) -> HealthService:
    return HealthService(cast(RedisLink, redis), Settings(), monotonic=clock)


def test_nothing_is_known_before_it_was_asked() -> None:
    assert made(Redis(), Clock()).workers_online is None


def test_what_was_seen_last_is_known_until_it_is_asked_again() -> None:
    """A poll asks, then makes its ETag twice; a second that ends in between must not change it."""
    redis, clock = Redis(), Clock()

    async def check() -> None:
        health = made(redis, clock)
        await health.load()
        clock.now_s += 3_600
        assert health.workers_online == 0
        redis.workers = 2
        await health.load()
        assert health.workers_online == 2

    asyncio.run(check())


def test_an_outage_does_not_make_it_forget() -> None:
    redis, clock = Redis(), Clock()

    async def check() -> None:
        health = made(redis, clock)
        await health.load()
        clock.now_s += 3_600
        redis.is_away = True
        with pytest.raises(Unavailable):
            await health.load()
        assert health.workers_online == 0

    asyncio.run(check())
