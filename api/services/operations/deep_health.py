"""Whether each service that executions need does its work: asked by using it, at most once a second."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

import httpx

from api.cache import TtlCache
from api.pool import DocumentPool
from api.schemas.deep_health import DeepHealth, Services
from api.services.operations.health import VERSION, HealthService, Load, is_writable
from shared import keys
from shared.clock import iso
from shared.documents.store import CollectionRef, DocumentStore, DocumentWrite
from shared.errors import KennelError, Unavailable
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.reads import reading

_TTL_S = 1.0
_PATIENCE_S = 2.0
_WORKERS_MAX = 1_000
_WORD = "kennel"

Errors = dict[str, str]

logger = logging.getLogger("kennel.api")


class DeepHealthService:
    def __init__(
        self, health: HealthService, redis: RedisLink, pool: DocumentPool, settings: Settings
    ) -> None:
        self._health = health
        self._redis = redis
        self._settings = settings
        self._documents = _DocumentsProbe(pool)
        self._errors: TtlCache[str, Errors] = TtlCache(max_entries=1, ttl_s=_TTL_S)
        self._asking = asyncio.Lock()

    async def report(self, *, deep: bool, metrics: bool) -> DeepHealth:
        """Args:
        deep: List the workers in `meta`.
        metrics: Put workers online, the depth of the queue and stages that cannot be ended into `meta`.
        """
        async with self._asking:  # one question at a time, however many ask
            errors = self._errors.get("errors")
            if errors is None:
                errors = await self._ask()
                self._errors.put("errors", errors)
        return DeepHealth(
            status="DEGRADED" if errors else "OK",
            data=Services(
                **{name: name not in errors for name in Services.model_fields if name != "analytics"}
            ),
            errors=errors or None,
            meta=await self._meta(deep=deep, metrics=metrics),
        )

    async def _ask(self) -> Errors:
        load, documents, endpoint = await asyncio.gather(
            self._load(), self._documents.error(), _endpoint_error(self._settings.embeddings_url)
        )
        errors: dict[str, str | None] = {"vector_store": documents}
        if not is_writable(self._settings.data_dir):
            errors["object_storage"] = f"{self._settings.data_dir} cannot be written to"
        if isinstance(load, KennelError):
            errors |= dict.fromkeys(("cache", "metadata", "task_queue", "inference"), load.message)
        elif load.workers_online == 0:
            errors |= dict.fromkeys(
                ("task_queue", "inference"), "no worker is online; `kennel up` starts some"
            )
        else:
            errors["inference"] = endpoint
        return {name: error for name, error in errors.items() if error is not None}

    async def _load(self) -> Load | KennelError:
        try:
            return await self._health.load()
        except KennelError as error:
            return error

    async def _meta(self, *, deep: bool, metrics: bool) -> dict[str, Any]:
        meta: dict[str, Any] = {"version": VERSION}
        try:
            if deep:
                meta["workers"] = await self._workers()
            if metrics:
                load = await self._health.load()
                meta["metrics"] = {
                    "workers_online": load.workers_online,
                    "queue_depth": load.queue_depth,
                    "stages_stuck": load.stages_stuck,
                }
        except Unavailable as error:
            meta["error"] = error.message
        return meta

    async def _workers(self) -> list[dict[str, str]]:
        """Each worker that was heard of lately, the last one first."""
        with reading():
            flat: list[bytes] = await self._redis.execute(
                *("ZRANGE", keys.WORKERS, 0, _WORKERS_MAX - 1, "REV", "WITHSCORES")
            )
        return [
            {"name": name.decode(), "last_heartbeat": iso(int(float(at_ms)))}
            for name, at_ms in zip(flat[::2], flat[1::2], strict=True)
        ]


class _DocumentsProbe:
    """One probe at a time: a disk that hangs must not take a thread for every question."""

    def __init__(self, pool: DocumentPool) -> None:
        self._pool = pool
        self._ref = CollectionRef(
            f"_health_{secrets.token_hex(4)}", "probe"
        )  # no user's: they start otherwise
        self._task: asyncio.Task[None] | None = None

    async def error(self) -> str | None:
        """Why documents cannot be stored and found; None when they can."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._pool.run(self._store_and_find), name="probe-documents")
        done, _ = await asyncio.wait([self._task], timeout=_PATIENCE_S)
        if not done:
            return f"the document engine did not answer within {_PATIENCE_S:g} s"
        error = self._task.exception()
        if error is None or isinstance(error, KennelError):
            return error.message if error else None
        logger.error("the probe of the documents failed", exc_info=error)
        return "something went wrong inside the document engine; the log has the details"

    def _store_and_find(self, documents: DocumentStore) -> None:
        try:
            documents.create_collection(self._ref)
            documents.upsert(self._ref, [DocumentWrite(_WORD, {"text": _WORD})])
            if not documents.search_text(self._ref, _WORD, limit=1).documents:
                raise Unavailable("a document that was just stored is not found by its words")
        finally:
            documents.drop_namespace(self._ref.namespace_id)


async def _endpoint_error(url: str) -> str | None:
    """Why the embeddings endpoint cannot be asked; None when it answers or there is none.

    Any answer below 500 will do: not every endpoint lists its models, and no key is sent.
    """
    if not url:
        return None
    try:
        async with httpx.AsyncClient(timeout=_PATIENCE_S) as client, asyncio.timeout(_PATIENCE_S):
            status = (await client.get(f"{url.rstrip('/')}/models")).status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return (
            f"the embeddings endpoint does not answer ({type(error).__name__}); check KENNEL_EMBEDDINGS_URL"
        )
    return f"the embeddings endpoint answers with {status}" if status >= 500 else None
