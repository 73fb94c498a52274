"""Cursors: signed positions in a list, valid for the query they came from."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import orjson

from shared import keys
from shared.errors import BadRequest
from shared.redis_link import RedisLink
from shared.tokens import open_token, sign

_SECRET_BYTES = 32


class Cursors:
    """Seals and opens cursors with a secret that all API processes of an installation share."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis
        self._secret: bytes | None = None

    async def secret(self) -> bytes:
        """Made once per installation and kept in Redis; two round trips on first use."""
        if self._secret is None:
            await self._redis.execute("SET", keys.SECRET, secrets.token_hex(_SECRET_BYTES), "NX")
            self._secret = await self._redis.execute("GET", keys.SECRET)
        return self._secret or b""

    async def seal(self, position: Any, query: Any) -> str:
        """A token of a position in the answer to `query` (both JSON)."""
        return sign([_digest(query), position], await self.secret())

    async def open(self, token: str, query: Any) -> Any:
        """The position that `seal` was given.

        Raises:
            BadRequest: the token is not ours, or belongs to another query or to an execution's result.
        """
        content = open_token(token, await self.secret())
        if not (isinstance(content, list) and len(content) == 2 and content[0] == _digest(query)):
            raise BadRequest("the cursor belongs to another query; start again without it", code="bad_cursor")
        return content[1]


def _digest(query: Any) -> str:
    return hashlib.sha256(orjson.dumps(query, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
