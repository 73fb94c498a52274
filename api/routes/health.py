"""Health: anonymous and instant, but for the deep one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from api.deps import ContextDep, ReaderDep
from api.openapi import ANONYMOUS, answers, json_response
from api.schemas.deep_health import DeepHealth

router = APIRouter(prefix="/v1/health", tags=["health"])


class Health(BaseModel):
    """How the installation is doing, at most a second old."""

    status: Literal["ok", "degraded", "down"]
    redis: Literal["ok", "down"]
    documents: str
    workers_online: int
    queue_depth: int
    version: str
    error: str | None


class Beat(BaseModel):
    """When a worker last looked for lost executions, which each does about once a second."""

    beat_running: bool
    last_heartbeat: str | None
    age_seconds: float | None


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


@router.get(
    "",
    summary="Readiness",
    responses=answers(Health) | {503: {"model": Health}},
    openapi_extra=ANONYMOUS,
)
async def readiness(context: ContextDep) -> Response:
    """`degraded` without workers: submits are accepted and wait. 503 when Redis is away."""
    status, body = await context.health.report()
    return json_response(body, status=status, headers={"Retry-After": "2"} if status == 503 else None)


@router.get("/liveness", summary="Liveness", responses=answers(Alive), openapi_extra=ANONYMOUS)
async def liveness() -> Response:
    """The process answers; nothing else is looked at."""
    return json_response(Alive())


@router.get("/beat", summary="Scheduler", responses=answers(Beat, 503), openapi_extra=ANONYMOUS)
async def beat(context: ContextDep) -> Response:
    """Workers recover what was lost on a schedule of their own; this says whether they do."""
    return json_response(await context.health.beat())


@router.get("/deep", summary="Ask every service that executions need", responses=answers(DeepHealth))
async def deep_health(
    context: ContextDep,
    _caller: ReaderDep,
    deep: Annotated[bool, Query(description="List the workers in `meta`, too.")] = False,
    metrics: Annotated[bool, Query(description="Put the figures of the queue into `meta`, too.")] = False,
) -> Response:
    """Stores, finds and removes a document, and asks Redis, the workers and the embeddings endpoint.

    Each within 2 seconds; at most a second old. `DEGRADED` with the reasons in `errors` is a 200, too.
    """
    return json_response(await context.deep_health.report(deep=deep, metrics=metrics))
