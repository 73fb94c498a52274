"""The stage catalogue; must come before the retrievers, whose ids would match its path."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep
from api.openapi import ANONYMOUS, answers, json_response
from api.schemas.retrievers import StageDescription

router = APIRouter(prefix="/v1/retrievers/stages", tags=["stages"])


@router.get(
    "",
    summary="List the stages that retrievers can use",
    responses=answers(list[StageDescription], 503),
    openapi_extra=ANONYMOUS,
)
async def list_all(context: ContextDep) -> Response:
    """What the workers can run, with the JSON Schema of each stage's parameters."""
    return json_response(await context.catalogue.describe())
