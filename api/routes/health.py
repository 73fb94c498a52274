"""Health: anonymous and instant."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.deps import ContextDep
from api.openapi import ANONYMOUS, answers, json_response

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


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


@router.get(
    "",
    summary="Readiness",
    responses=answers(Health) | {503: {"model": Health}},
    openapi_extra=ANONYMOUS,
)
async def health(context: ContextDep) -> Response:
    """`degraded` without workers: submits are accepted and wait. 503 when Redis is away."""
    status, body = await context.health.report()
    return json_response(body, status=status, headers={"Retry-After": "2"} if status == 503 else None)


@router.get("/liveness", summary="Liveness", responses=answers(Alive), openapi_extra=ANONYMOUS)
async def liveness() -> Response:
    """The process answers; nothing else is looked at."""
    return json_response(Alive())
