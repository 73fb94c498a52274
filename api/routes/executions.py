"""Executions: the list is served here; execute and get are described here and served by the front door."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import StreamingResponse

from api.deps import ContextDep, PathId, PathName, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, answers_of_errors, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of
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
from api.schemas.execution import ExecuteBody, ExecutionsListBody, ExplainBody, ExtendBody
from api.schemas.execution_answers import (
    CancelAnswer,
    Execution,
    ExecutionHistory,
    ExecutionProfile,
    ExecutionStatus,
    ExplainAnswer,
    ExtendAnswer,
)
from api.schemas.pagination import StoredPaging
from api.services.executions.answers import readable_id
from api.services.executions.cancelling import cancel_answer
from api.services.executions.explain import explain_plan
from api.services.executions.history import list_executions
from api.services.executions.reading import Owner, cancel, extend
from api.services.executions.views import profile_of_execution, status_of_execution

router = APIRouter(prefix="/v1/retrievers", tags=["executions"], route_class=JsonRoute)


@router.post(
    "/{retriever}/execute",
    summary="Execute a retriever",
    responses=answers(Execution, 404, 422, 429, 504, headers=SUBMIT_HEADERS) | accepted(Execution),
)
async def execute(
    retriever: PathName,
    access: ReadAccess,
    body: Annotated[ExecuteBody | None, Body()] = None,
    return_vectors: ReturnVectors = False,
    explain: Annotated[bool, Query(description="Add `explain_plan` to the answer.")] = False,
    skip_cache: Annotated[bool, Query(description="There is no cache yet: no effect.")] = False,
    include_legacy_results: LegacyResults = False,
    partial_results: PartialResults = True,
    prefer: ExecutePrefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Accept an execution and answer with its record, `pending` unless a wait was asked for.

    Inputs are checked against the retriever's input_schema before anything is stored.
    """
    return served_by_the_front_door()


@router.get(
    "/{retriever}/executions/{execution_id}",
    summary="Get an execution",
    responses=answers(Execution, 400, 404, 410, 422, headers=STATE_HEADERS) | UNCHANGED,
)
async def get(
    retriever: PathName,
    execution_id: PathId,
    access: ReadAccess,
    paging: Annotated[StoredPaging, Query()],
    include_legacy_results: LegacyResults = False,
    partial_results: PartialResults = True,
    if_none_match: IfNoneMatch = None,
    prefer: PollPrefer = None,
) -> Response:
    """Status, progress and statistics as they are now, and the documents once it has ended.

    The paging of the query reads another page of the stored result; until there is one it changes nothing.
    """
    return served_by_the_front_door()


@router.get(
    "/{retriever}/executions/{execution_id}/status",
    summary="Get the live status of an execution",
    responses=answers(ExecutionStatus, 400, 404),
)
async def get_status(
    retriever: PathName, execution_id: PathId, context: ContextDep, access: ReadAccess
) -> Response:
    """From the record; after its expiry from the history."""
    return json_response(await status_of_execution(context, access, retriever, readable_id(execution_id)))


@router.get(
    "/{retriever}/executions/{execution_id}/profile",
    summary="Get the timings and counts of an execution's stages",
    responses=answers(ExecutionProfile, 400, 404, 410),
)
async def get_profile(
    retriever: PathName, execution_id: PathId, context: ContextDep, access: ReadAccess
) -> Response:
    """Of the stages that have ended so far."""
    return json_response(await profile_of_execution(context, access, retriever, readable_id(execution_id)))


@router.post(
    "/{retriever}/executions/{execution_id}/cancel",
    summary="Cancel an execution",
    responses=answers(CancelAnswer, 400, 404, 410, 504),
)
async def cancel_execution(
    retriever: PathName, execution_id: PathId, context: ContextDep, access: ReadAccess
) -> Response:
    """At once and for good, with or without a worker; statistics and credits so far stay.

    A worker that runs it stops at its next batch of documents; whatever it still writes is refused. A stage
    that goes on is ended by force.
    """
    return json_response(await cancelled(context, access, retriever, execution_id))


@router.post(
    "/{retriever}/executions/{execution_id}/extend",
    summary="Keep an execution's result longer",
    responses=answers(ExtendAnswer, 400, 404, 409, 410, 422, 504),
)
async def extend_execution(
    retriever: PathName, execution_id: PathId, context: ContextDep, access: ReadAccess, body: ExtendBody
) -> Response:
    """Counted from now, and never shorter than it was: all that is kept of an ended execution."""
    return json_response(await extended(context, access, retriever, execution_id, body))


async def extended(
    context: ContextDep, access: ReadAccess, owner: Owner, execution_id: str, body: ExtendBody
) -> ExtendAnswer:
    readable = readable_id(execution_id)
    done = await extend(context, access, owner, readable, body.expires_in_s)
    return ExtendAnswer(
        execution_id=readable,
        status=done.status,
        revision=done.revision,
        expires_at=done.expires_at,
        extended=done.is_new,
    )


@router.get(
    "/{retriever}/executions/{execution_id}/events",
    summary="Follow an execution's events",
    response_class=StreamingResponse,  # has no media type of its own
    responses=EVENTS | answers_of_errors(404, 410, 422, 429),
)
async def get_events(
    retriever: PathName, execution_id: PathId, access: ReadAccess, last_event_id: LastEventId = None
) -> Response:
    """As they happen, until the execution has ended; docs/watching.md lists them.

    The first is `resync`, the execution as it is, when what was before is not known event by event.
    """
    return served_by_the_front_door()


async def cancelled(context: ContextDep, access: ReadAccess, owner: Owner, execution_id: str) -> CancelAnswer:
    readable = readable_id(execution_id)
    return cancel_answer(context.settings, readable, await cancel(context, access, owner, readable))


@router.post(
    "/{retriever}/execute/explain",
    summary="Explain what an execution would do and cost",
    responses=answers(ExplainAnswer, 400, 404, 422),
)
async def explain(
    retriever: PathName,
    context: ContextDep,
    access: ReadAccess,
    body: Annotated[ExplainBody | None, Body()] = None,
) -> Response:
    """Nothing runs. The numbers are medians of the newest executions, or a guess that says so."""
    asked = body or ExplainBody()
    plan = await explain_plan(context, access, retriever, asked.inputs or {})
    return json_response(plan | {"warnings": asked.warnings()})


@router.post(
    "/{retriever}/executions/list",
    summary="List a retriever's executions",
    responses=answers(ExecutionHistory, 404, 422, headers=LINK_HEADER),
)
async def list_by_post(
    retriever: PathName,
    context: ContextDep,
    access: ReadAccess,
    paging: PagingDep,
    body: Annotated[ExecutionsListBody | None, Body()] = None,
) -> Response:
    """Newest first. A filter for one status does what `status` does.

    Other filters and sorts look at the newest 10,000, and say so when there are more.
    """
    asked = body or ExecutionsListBody()
    page = page_of(paging, asked)
    found = await list_executions(context, access, retriever, asked, page)
    answer = {
        "results": [orjson.Fragment(row) for row in found.results],
        "pagination": found.pagination(page.limit),
        "warnings": [*asked.warnings(), *found.warnings],
    }
    return json_response(answer, headers=next_link(found.next_cursor, page))
