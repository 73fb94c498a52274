"""What this installation can do. Anonymous, as clients ask before they have a key."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep
from api.openapi import ANONYMOUS, answers, json_response
from api.schemas.discovery import Discovery, ExtractorDiscovery, StageDiscovery
from api.services.resources.discovery import describe_extractors

router = APIRouter(prefix="/v1/discovery", tags=["discovery"])


@router.get(
    "",
    summary="Describe extractors and stages",
    responses=answers(Discovery, 503),
    openapi_extra=ANONYMOUS,
)
async def everything(context: ContextDep) -> Response:
    """Both lists in one answer."""
    stages = await context.catalogue.discover()
    extractors = describe_extractors(context.settings)
    return json_response(Discovery(extractors=extractors, stages=stages))


@router.get(
    "/stages",
    summary="Describe the stages that retrievers can use",
    responses=answers(list[StageDiscovery], 503),
    openapi_extra=ANONYMOUS,
)
async def stages(context: ContextDep) -> Response:
    """As `/v1/retrievers/stages`, with what a stage costs and whether it reads collections."""
    return json_response([stage.model_dump() for stage in await context.catalogue.discover()])


@router.get(
    "/extractors",
    summary="Describe the extractors that collections can use",
    responses=answers(list[ExtractorDiscovery]),
    openapi_extra=ANONYMOUS,
)
async def extractors(context: ContextDep) -> Response:
    """With the embedding models of this installation, the default first."""
    return json_response([each.model_dump() for each in describe_extractors(context.settings)])
