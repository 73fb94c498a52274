"""Ad-hoc executions; must come before the routes of retrievers, whose ids would match these paths."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import StreamingResponse

from api.deps import ContextDep, PathId, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, answers_of_errors, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of
from api.routes.executions import cancelled, extended
from api.routes.front_door import (
    EVENTS,
    STATE_HEADERS,
    SUBMIT_HEADERS,
    UNCHANGED,
    ExecutePrefer,
    IdempotencyKey,
    IfNoneMatch,
    LastEventId,
    LegacyResults,
    PartialResults,
    PollPrefer,
    ReturnVectors,
    accepted,
    served_by_the_front_door,
)
from api.schemas.execution import AdhocBody, AdhocListBody, ExtendBody
from api.schemas.execution_answers import AdhocExecution, AdhocList, CancelAnswer, ExtendAnswer
from api.schemas.pagination import StoredPaging
from api.services.executions.adhoc import list_adhoc

router = APIRouter(prefix="/v1/retrievers", tags=["ad-hoc executions"], route_class=JsonRoute)


@router.post(
    "/execute",
    summary="Execute stages without saving a retriever",
    responses=answers(AdhocExecution, 404, 422, 429, 504, headers=SUBMIT_HEADERS) | accepted(AdhocExecution),
)
async def execute(
    access: ReadAccess,
    body: AdhocBody,
    return_vectors: ReturnVectors = False,
    include_legacy_results: LegacyResults = False,
    partial_results: PartialResults = True,
    prefer: ExecutePrefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Stages are checked as when a retriever is created. Only the execution and its history are stored."""
    return served_by_the_front_door()


@router.get(
    "/executions/{execution_id}",
    summary="Get an ad-hoc execution",
    responses=answers(AdhocExecution, 400, 404, 410, 422, headers=STATE_HEADERS) | UNCHANGED,
)
async def get(
    execution_id: PathId,
    access: ReadAccess,
    paging: Annotated[StoredPaging, Query()],
    include_legacy_results: LegacyResults = False,
    partial_results: PartialResults = True,
    if_none_match: IfNoneMatch = None,
    prefer: PollPrefer = None,
) -> Response:
    """As any execution, and how it was asked for. The execution of a retriever is not found here."""
    return served_by_the_front_door()


@router.post(
    "/executions/{execution_id}/cancel",
    summary="Cancel an ad-hoc execution",
    responses=answers(CancelAnswer, 400, 404, 410, 504),
)
async def cancel(execution_id: PathId, context: ContextDep, access: ReadAccess) -> Response:
    """As that of a retriever's execution."""
    return json_response(await cancelled(context, access, None, execution_id))


@router.post(
    "/executions/{execution_id}/extend",
    summary="Keep an ad-hoc execution's result longer",
    responses=answers(ExtendAnswer, 400, 404, 409, 410, 422, 504),
)
async def extend_adhoc(
    execution_id: PathId, context: ContextDep, access: ReadAccess, body: ExtendBody
) -> Response:
    """As that of a retriever's execution."""
    return json_response(await extended(context, access, None, execution_id, body))


@router.get(
    "/executions/{execution_id}/events",
    summary="Follow an ad-hoc execution's events",
    response_class=StreamingResponse,  # has no media type of its own
    responses=EVENTS | answers_of_errors(404, 410, 422, 429),
)
async def get_adhoc_events(
    execution_id: PathId, access: ReadAccess, last_event_id: LastEventId = None
) -> Response:
    """As those of a retriever's execution."""
    return served_by_the_front_door()


@router.post(
    "/executions/list",
    summary="List the namespace's ad-hoc executions",
    responses=answers(AdhocList, 400, 404, 422, headers=LINK_HEADER),
)
async def list_by_post(
    context: ContextDep,
    access: ReadAccess,
    paging: PagingDep,
    body: Annotated[AdhocListBody | None, Body()] = None,
) -> Response:
    """Newest first."""
    asked = body or AdhocListBody()
    page = page_of(paging, asked)
    found = await list_adhoc(context, access, asked, page)
    return json_response(
        {
            "results": [orjson.Fragment(row) for row in found.results],
            "total": found.total,
            "pagination": found.pagination(page.limit),
            "warnings": [*asked.warnings(), *found.warnings],
        },
        headers=next_link(found.next_cursor, page),
    )
