"""What a check reports: what is wrong, how bad that is, and the function that tells whether it still is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from redis import Redis

from shared.redis_sync import Argument, fcall

# stuck: an execution or batch never ends by itself; wrong: figures are not true; untidy: memory is not freed.
Severity = Literal["stuck", "wrong", "untidy"]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    severity: Severity
    advice: str  # what --fix does, in words


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    subject: str  # an id or a key; never the content of anything
    found: str
    repair: str  # of shared/lua/doctor.lua
    arguments: tuple[Argument, ...]

    def is_there(self, redis: Redis) -> bool:
        """Decided anew, atomically."""
        return self._call(redis, "look")

    def mend(self, redis: Redis) -> bool:
        """Atomically, and only if it is still there; False when it was not."""
        return self._call(redis, "fix")

    def _call(self, redis: Redis, mode: str) -> bool:
        return bool(fcall(redis, f"repair_{self.repair}", mode, *self.arguments))
