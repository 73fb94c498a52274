"""Upserts with an idempotency key: repeating one gives the first answer again.

Two at the same time may both store their documents, which are the same; the first answer is given to both.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from api.schemas.documents import UpsertBody
from shared.errors import Conflict, KennelError
from shared.logs import log_event
from shared.stores.upsert_answers import UpsertAnswers

logger = logging.getLogger("kennel.api")


class UpsertOnce:
    def __init__(self, answers: UpsertAnswers) -> None:
        self._answers = answers

    async def run(
        self,
        key_id: str,
        namespace_id: str,
        request: UpsertBody,
        upsert: Callable[[], Awaitable[dict[str, Any]]],
    ) -> bytes:
        """The answer of `upsert`, or what it was the first time.

        Args:
            key_id: of the caller's API key; an idempotency key is its caller's own, for one namespace.

        Raises:
            Conflict: the idempotency key came with another body. Whatever `upsert` raises.
        """
        if request.options.idempotency_key is None:
            return orjson.dumps(await upsert())
        scope = "\0".join((key_id, namespace_id, request.options.idempotency_key))
        digest, body_digest = _digest(scope.encode()), _digest(_canonical(request))
        earlier = await self._answers.claim(digest, body_digest)
        if earlier not in (None, body_digest):
            raise Conflict(
                "options.idempotency_key was used with another body; use a new key or the first body",
                code="idempotency_key_reused",
            )
        answer = await self._answers.get(digest) if earlier else None
        return answer or await self._first(digest, upsert, is_new=earlier is None)

    async def _first(
        self, digest: str, upsert: Callable[[], Awaitable[dict[str, Any]]], *, is_new: bool
    ) -> bytes:
        try:
            answer = await upsert()
        except KennelError:
            if is_new:
                await self._answers.release(digest)
            raise
        try:
            return await self._answers.keep(digest, orjson.dumps(answer))
        except KennelError as error:
            log_event(logger, "upsert.answer_not_kept", level=logging.WARNING, error=error.message)
            warning = "the answer could not be kept: repeating this idempotency_key writes again"
            return orjson.dumps({**answer, "warnings": [*answer["warnings"], warning]})


def _canonical(request: UpsertBody) -> bytes:
    return orjson.dumps(request.model_dump(), option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
