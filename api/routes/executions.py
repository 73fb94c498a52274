"""Executions: the list is served here; execute and get are described here and served by the front door."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import ContextDep, PathId, PathName, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers
from api.paging import PagingDep, page_of
from api.schemas.execution import ExecuteBody, ExecutionsListBody
from api.services.history import list_executions

router = APIRouter(prefix="/v1/retrievers", tags=["executions"], route_class=JsonRoute)


class StageStatistics(BaseModel):
    """What one stage did."""

    input_count: int = Field(ge=0)
    output_count: int = Field(ge=0)
    duration_ms: float = Field(ge=0)
    efficiency: float = Field(ge=0, description="output / input; 0 when the input is empty.")
    cache_hit: bool = False
    stage_cache_hit: bool = False
    error: str | None = Field(None, description="Why the stage was skipped or failed.")
    metadata: dict[str, Any] | None = None


class Statistics(BaseModel):
    """Statistics of the stages that have ended so far, by stage name."""

    stages: dict[str, StageStatistics]
    total_time_ms: float = Field(ge=0)
    credits_used: float = Field(ge=0)


class Execution(BaseModel):
    """An execution, whatever its state; every field is there at every moment."""

    model_config = ConfigDict(extra="allow")

    execution_id: str
    retriever_id: str
    retriever_name: str
    status: str = Field(description="pending, processing, completed, degraded, failed or cancelled.")
    revision: int = Field(description="Grows with every change; also the ETag.")
    attempt: int = Field(description="How many times a worker has started it.")
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str | None = Field(description="When its result will be gone.")
    current_stage: str | None
    stages_completed: int = Field(ge=0)
    total_stages: int = Field(ge=0)
    wait_reason: str | None = Field(description="Why it is pending: queued or no_worker_online.")
    documents: list[dict[str, Any]]
    pagination: dict[str, Any]
    stage_statistics: Statistics
    budget: dict[str, Any]
    error: str | None
    warnings: list[str]
    interpretation: dict[str, Any]


class ExecutionSummary(BaseModel):
    """One line of the history."""

    execution_id: str
    retriever_id: str
    status: str
    created_at: str
    completed_at: str | None
    duration_ms: float = Field(ge=0, description="Run time over all attempts, without the time in the queue.")
    credits_used: float = Field(ge=0)
    total_processed: int = Field(ge=0)
    total_returned: int = Field(ge=0)
    cache_hit_rate: float | None
    inputs_hash: str | None
    query_summary: str | None


class HistoryPagination(BaseModel):
    """Where the page stands."""

    total: int = Field(ge=0)
    limit: int = Field(ge=0)
    offset: int = Field(ge=0)
    has_next: bool
    next_cursor: str | None


class ExecutionHistory(BaseModel):
    """A page of executions, newest first unless `sorts` says otherwise."""

    results: list[ExecutionSummary]
    pagination: HistoryPagination
    warnings: list[str]


def _served_by_the_front_door() -> Response:
    raise AssertionError("api.hot.FrontDoor answers this path before the framework sees it")


Namespace = Annotated[str | None, Header(alias="X-Namespace", description="Id or name of the namespace.")]


@router.post(
    "/{retriever}/execute",
    summary="Execute a retriever",
    responses=answers(Execution, 400, 404, 413, 422, 429, 504),
)
async def execute(
    retriever: PathName,
    access: ReadAccess,
    body: Annotated[ExecuteBody | None, Body()] = None,
    prefer: Annotated[
        str | None, Header(description="`wait=N` holds the answer; `respond-async` answers 202.")
    ] = None,
    idempotency_key: Annotated[
        str | None, Header(description="Same key and body: the same execution.")
    ] = None,
) -> Response:
    """Accept an execution and answer with its record, `pending` unless a wait was asked for.

    Inputs are checked against the retriever's input_schema before anything is stored.
    """
    return _served_by_the_front_door()


@router.get(
    "/{retriever}/executions/{execution_id}",
    summary="Get an execution",
    responses=answers(Execution, 400, 404, 410),
)
async def get_execution(
    retriever: PathName,
    execution_id: PathId,
    access: ReadAccess,
    if_none_match: Annotated[
        str | None, Header(description="An ETag; 304 while nothing has changed.")
    ] = None,
    prefer: Annotated[str | None, Header(description="`wait=N`: hold until it changes (or ends).")] = None,
) -> Response:
    """Status, progress and statistics as they are now, and the documents once it has ended."""
    return _served_by_the_front_door()


@router.post(
    "/{retriever}/executions/list",
    summary="List a retriever's executions",
    responses=answers(ExecutionHistory, 400, 404, 422),
)
async def list_of_executions(
    retriever: PathName,
    context: ContextDep,
    access: ReadAccess,
    paging: PagingDep,
    body: Annotated[ExecutionsListBody | None, Body()] = None,
) -> Response:
    """Newest first. Filters and sorts look at the newest 10,000 and say so when there are more."""
    asked = body or ExecutionsListBody()
    page = page_of(paging, asked)
    found = await list_executions(context, access, retriever, asked, page)
    pagination = {
        "total": found.total,
        "limit": page.limit,
        "offset": found.offset,
        "has_next": found.offset + len(found.results) < found.total,
        "next_cursor": found.next_cursor,
    }
    answer = {
        "results": [orjson.Fragment(row) for row in found.results],
        "pagination": pagination,
        "warnings": [*asked.warnings(), *found.warnings],
    }
    headers = {}
    if found.next_cursor:
        headers["Link"] = f'<?cursor={found.next_cursor}&limit={page.limit}>; rel="next"'
    return Response(orjson.dumps(answer), media_type="application/json", headers=headers)
