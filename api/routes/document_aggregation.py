"""Figures about the documents of a collection."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep, PathName, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.schemas.document_aggregation import (
    AggregationAnswer,
    AggregationRequest,
    DistinctAnswer,
    DistinctRequest,
)

router = APIRouter(prefix="/v1/collections/{collection}/documents", tags=["documents"], route_class=JsonRoute)


@router.post(
    "/aggregate",
    summary="Compute figures about documents",
    responses=answers(AggregationAnswer, 400, 404, 422),
)
async def aggregate(
    context: ContextDep, access: ReadAccess, collection: PathName, body: AggregationRequest
) -> Response:
    """Counts, sums, means and more, over all documents that pass the filters or by groups of them."""
    service = context.document_aggregation
    return json_response(await service.aggregate(access.namespace_id, collection, body))


@router.post(
    "/distinct", summary="List the values of a field", responses=answers(DistinctAnswer, 400, 404, 422)
)
async def distinct(
    context: ContextDep, access: ReadAccess, collection: PathName, body: DistinctRequest
) -> Response:
    """With the number of documents that have each; each element of a list counts once for a document."""
    service = context.document_aggregation
    return json_response(await service.distinct(access.namespace_id, collection, body))
