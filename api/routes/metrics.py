"""Metrics for Prometheus: anonymous, like health, and without anything of a namespace."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import ContextDep
from api.openapi import ANONYMOUS, answers

router = APIRouter(tags=["health"])

_EXAMPLE = '# TYPE kennel_executions_unfinished gauge\nkennel_executions_unfinished{status="pending"} 3.0\n'
_TEXT: dict[str, Any] = {
    "content": {"text/plain": {"schema": {"type": "string", "examples": [_EXAMPLE]}}},
}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={**answers(None, 503), 200: _TEXT},
    openapi_extra=ANONYMOUS,
)
async def metrics(context: ContextDep) -> Response:
    """In the text format, at most a second old."""
    return Response(await context.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
