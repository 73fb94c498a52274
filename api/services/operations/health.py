"""Whether the installation can do its work, asked of Redis at most once a second."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from api.cache import TtlCache
from api.services.operations.pace import Pace
from shared.broker import QUEUES
from shared.clock import iso
from shared.errors import KennelError
from shared.redis_link import RedisLink
from shared.settings import HEARTBEATS_MISSED, Settings
from shared.stores.reads import reading

_TTL_S = 1.0
_SWEEPS_MISSED = 10
VERSION = version("kennel")


@dataclass(frozen=True, slots=True)
class Load:
    workers_online: int
    queue_depth: int
    swept_at_ms: int = 0  # 0 = never
    now_ms: int = 0  # by the clock of Redis, as the sweep's
    stages_stuck: int = 0
    started: int = 0  # executions ever


class HealthService:
    def __init__(
        self, redis: RedisLink, settings: Settings, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._load: TtlCache[str, Load | KennelError] = TtlCache(
            max_entries=1, ttl_s=_TTL_S, monotonic=monotonic
        )
        self._asking = asyncio.Lock()
        self._seen: Load | None = None
        self._monotonic = monotonic
        self.pace = Pace()  # as `load` has seen it

    @property
    def workers_online(self) -> int | None:
        """As they were when `load` last had an answer; None when it never had.

        However long ago that is: what is known ends with newer knowledge, not in the middle of an answer.
        """
        return self._seen.workers_online if self._seen else None

    async def load(self) -> Load:
        """Workers and queue, at most a second old; a failure is remembered as long.

        Raises:
            Unavailable: Redis is away.
        """
        load = self._load.get("load")
        if load is None:
            async with self._asking:  # one question at a time, however many ask
                load = self._load.get("load") or await self._ask()
                self._load.put("load", load)
        if isinstance(load, KennelError):
            raise load
        return load

    async def _ask(self) -> Load | KennelError:
        silence_ms = self._settings.heartbeat_ms * HEARTBEATS_MISSED
        try:
            with reading():
                self._seen = Load(*await self._redis.fcall("online", silence_ms, *QUEUES))
            self.pace.note(self._monotonic(), self._seen.started)
            return self._seen
        except KennelError as error:
            return error

    async def report(self) -> tuple[int, dict[str, Any]]:
        """(HTTP status, body) of GET /v1/health: 503 only when Redis is away."""
        try:
            load = await self.load()
        except KennelError as error:
            return 503, self._body("down", redis="down", load=Load(0, 0), error=error.message)
        documents = "ok" if is_writable(self._settings.data_dir) else "not writable"
        healthy = load.workers_online > 0 and documents == "ok"
        return 200, self._body("ok" if healthy else "degraded", redis="ok", load=load, documents=documents)

    async def beat(self) -> dict[str, Any]:
        """Whether the workers look for lost executions: Kennel's only schedule.

        Raises:
            Unavailable: Redis is away.
        """
        load = await self.load()
        if not load.swept_at_ms:
            return {"beat_running": False, "last_heartbeat": None, "age_seconds": None}
        age_ms = max(load.now_ms - load.swept_at_ms, 0)
        return {
            "beat_running": age_ms <= self._settings.sweep_ms * _SWEEPS_MISSED,
            "last_heartbeat": iso(load.swept_at_ms),
            "age_seconds": age_ms / 1000,
        }

    def _body(
        self, status: str, *, redis: str, load: Load, documents: str = "unknown", error: str | None = None
    ) -> dict[str, Any]:
        return {
            "status": status,
            "redis": redis,
            "documents": documents,
            "workers_online": load.workers_online,
            "queue_depth": load.queue_depth,
            "version": VERSION,
            "error": error,
        }


def is_writable(directory: Path) -> bool:
    """Whether the directory, or the place where it will be made, can be written to."""
    path = directory.absolute()
    existing = next(each for each in (path, *path.parents) if each.exists())
    return existing.is_dir() and os.access(existing, os.W_OK)
