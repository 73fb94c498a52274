"""Answers of upserts by their idempotency keys."""

from __future__ import annotations

from shared import keys
from shared.redis_link import RedisLink


class UpsertAnswers:
    """Every method is one command; both keys live for `ttl_s` from when they were set."""

    def __init__(self, redis: RedisLink, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s

    async def claim(self, digest: str, body_digest: str) -> str | None:
        """Note which body came first under this key; the digest of an earlier one, None if there was none."""
        earlier: bytes | None = await self._set_first(keys.upsert(digest), body_digest.encode())
        return None if earlier is None else earlier.decode()

    async def release(self, digest: str) -> None:
        """Forget a key whose upsert stored nothing: its next body may be another one."""
        await self._redis.execute("DEL", keys.upsert(digest))

    async def get(self, digest: str) -> bytes | None:
        """The first answer, None while there is none."""
        found: bytes | None = await self._redis.execute("GET", keys.upsert_answer(digest))
        return found

    async def keep(self, digest: str, answer: bytes) -> bytes:
        """Keep the answer unless there is one; the one that is kept."""
        return await self._set_first(keys.upsert_answer(digest), answer) or answer

    async def _set_first(self, key: str, value: bytes) -> bytes | None:
        """Set a key that does not exist, and return what it was."""
        before: bytes | None = await self._redis.execute("SET", key, value, "NX", "GET", "EX", self._ttl_s)
        return before
