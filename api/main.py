"""The API process: `uvicorn api.main:create_app --factory`."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.exceptions import RedisError
from starlette.types import ASGIApp

from api import errors, openapi
from api.context import ApiContext
from api.hot import FrontDoor
from api.middleware import Boundary
from api.routes import (
    adhoc,
    alert_deliveries,
    alert_executions,
    alerts,
    api_keys,
    batch,
    batches,
    collections,
    discovery,
    docs,
    document_aggregation,
    document_changes,
    document_lists,
    documents,
    executions,
    health,
    identity,
    metrics,
    namespace_limits,
    namespaces,
    not_built,
    retrievers,
    stages,
    stats,
    tasks,
    watch,
    webhook_deliveries,
    webhooks,
)
from api.services.operations.health import VERSION
from api.stop_signal import on_stop_signal
from shared.errors import OutcomeUnknown, Unavailable
from shared.logs import configure_logging, log_event
from shared.redis_sync import connect
from shared.settings import Settings
from shared.stores.api_keys import ensure_key
from shared.stores.limits import Limits

_RETRY_S = 1.0

# Fixed words come before the ids they could be taken for (contract 1.3).
_ROUTERS = (
    docs,
    not_built,
    health,
    metrics,
    stats,
    identity,
    api_keys,
    webhooks,
    webhook_deliveries,
    discovery,
    stages,
    namespace_limits,
    namespaces,
    collections,
    document_aggregation,
    document_changes,
    document_lists,
    documents,
    adhoc,
    batch,
    batches,
    executions,
    watch,
    retrievers,
    alert_executions,
    alert_deliveries,
    alerts,
    tasks,
)

logger = logging.getLogger("kennel.api")


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The outermost ASGI app. Without settings they are read from the environment, and logging is set up."""
    if settings is None:
        settings = Settings()
        configure_logging(settings, "api")
    app = build_app(settings)
    inner = Boundary(app, body_max_bytes=settings.body_max_bytes, upload_max_bytes=settings.batch_max_bytes)
    return FrontDoor(inner, lambda: app.state.context)


def build_app(settings: Settings) -> FastAPI:
    """The FastAPI app behind the front door."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = app.state.context = ApiContext.open(settings)
        start = asyncio.create_task(_start(context), name="start")
        try:
            # Wait for a start that goes well, but not for a Redis that is away.
            done, _ = await asyncio.wait([start], timeout=settings.redis_timeout_s)
            for task in done:
                task.result()
            gc.collect()
            gc.freeze()  # full collections of all that is imported would hold every request up
            with on_stop_signal(context.streams.stop):
                yield
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await context.close()

    app = FastAPI(
        title="Kennel",
        summary="Asynchronous execution of retrievers: submit, run on workers, poll.",
        description=openapi.DESCRIPTION,
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,  # api.routes.docs, which needs no Internet
        openapi_url=docs.OPENAPI_URL,
        redoc_url=None,
        generate_unique_id_function=openapi.operation_id,
        redirect_slashes=False,
        strict_content_type=False,
    )
    errors.install(app)
    openapi.install(app)
    for routes in _ROUTERS:
        app.include_router(routes.router)
    return app


async def _start(context: ApiContext) -> None:
    """What must be done once Redis answers: bootstrap key, general limits, purges that a crash interrupted.

    Raises:
        InvalidInput: KENNEL_API_KEY is no key.
    """
    while True:
        try:
            await asyncio.to_thread(_ensure_bootstrap_key, context.settings)
            settings = context.settings
            await context.limits.put_default(
                Limits(settings.namespace_running_max, settings.namespace_waiting_max)
            )
            await context.namespace_service.resume_purges()
        except (Unavailable, OutcomeUnknown, RedisError) as error:
            log_event(logger, "start.waiting_for_redis", level=logging.WARNING, error=str(error))
            await asyncio.sleep(_RETRY_S)
        else:
            return


def _ensure_bootstrap_key(settings: Settings) -> None:
    if settings.api_key is not None:
        with connect(settings.redis_url, timeout_s=settings.redis_timeout_s) as redis:
            ensure_key(redis, settings.api_key.get_secret_value())
