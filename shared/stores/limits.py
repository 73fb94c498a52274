"""How many executions of a namespace may run and wait; shared/lua/queue.lua holds them to it."""

from __future__ import annotations

from dataclasses import dataclass

from shared import keys
from shared.redis_link import RedisLink
from shared.stores.reads import reading

_ANY = "-"
_DEFAULT = "*"


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit of its own."""

    running: int | None = None
    waiting: int | None = None


class LimitStore:
    """One round trip each. What is set holds from the next submit and claim on."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def read(self, namespace_id: str) -> tuple[Limits, Limits]:
        """Those of the namespace, and those of every namespace that has none of its own."""
        with reading():
            own, general = await self._redis.execute("HMGET", keys.LIMITS, namespace_id, _DEFAULT)
        return _parsed(own), _parsed(general)

    async def put(self, namespace_id: str, limits: Limits) -> None:
        """Replace those of the namespace."""
        await self._redis.execute("HSET", keys.LIMITS, namespace_id, _written(limits))

    async def put_default(self, limits: Limits) -> None:
        """Replace those of every namespace without its own."""
        await self.put(_DEFAULT, limits)


def _written(limits: Limits) -> str:
    return " ".join(_ANY if each is None else str(each) for each in (limits.running, limits.waiting))


def _parsed(raw: bytes | None) -> Limits:
    words = (raw or b"- -").decode().split(" ")
    running, waiting = (None if word == _ANY else int(word) for word in words)
    return Limits(running, waiting)
