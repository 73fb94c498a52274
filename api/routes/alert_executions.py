"""Evaluations of alerts: start one, read, list, cancel."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Response

from api.deps import ContextDep, ListAccess, PathId, PathName, ReadAccess, WriteAccess
from api.json_body import JsonRoute
from api.openapi import answers, answers_of_errors, described, json_response
from api.paging import LINK_HEADER, Page, PagingDep, next_link, page_of, pagination
from api.routes.front_door import IdempotencyKey
from api.schemas.alert_executions import (
    AlertExecuteBody,
    AlertExecution,
    AlertExecutionList,
    AlertExecutionStarted,
)
from api.schemas.execution_answers import CancelAnswer
from api.services.alerts.executions import (
    RunListing,
    alert_execution,
    cancel_alert_execution,
    executions_of,
    executions_of_all,
    latest_result,
)
from api.services.alerts.on_demand import execute_alert
from api.services.executions.cancelling import cancel_answer
from api.services.executions.submit import idempotency_key as key_of

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=JsonRoute)

_STARTED: dict[int | str, dict[str, Any]] = {
    202: {"model": AlertExecutionStarted, "headers": described({"Location": "Where to poll."})}
}


@router.get(
    "/executions",
    summary="List the executions of all alerts",
    responses=answers(AlertExecutionList, 400, 422, headers=LINK_HEADER),
)
async def list_all(context: ContextDep, access: ListAccess, paging: PagingDep) -> Response:
    """Newest first, at most 10,000; without matches."""
    page = page_of(paging)
    return _list_response(page, await executions_of_all(context, access, page))


@router.get(
    "/executions/{execution_id}",
    summary="Get an execution of an alert",
    responses=answers(AlertExecution, 400, 404, 410),
)
async def get_execution(context: ContextDep, access: ReadAccess, execution_id: PathId) -> Response:
    """As it is now; it is also an execution of its retriever, where it can be waited for."""
    return json_response(await alert_execution(context, access, execution_id))


@router.post(
    "/executions/{execution_id}/cancel",
    summary="Cancel an execution of an alert",
    responses=answers(CancelAnswer, 400, 404, 410, 504),
)
async def cancel(context: ContextDep, access: ReadAccess, execution_id: PathId) -> Response:
    """At once and for good; then it tells nobody."""
    done = await cancel_alert_execution(context, access, execution_id)
    return json_response(cancel_answer(context.settings, execution_id, done))


@router.post(
    "/{alert}/execute",
    summary="Execute an alert",
    status_code=202,
    responses=_STARTED | answers_of_errors(400, 403, 404, 409, 422, 429, 504),
)
async def execute(
    context: ContextDep,
    access: WriteAccess,
    alert: PathName,
    body: Annotated[AlertExecuteBody | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Now. Its channels are told as on a schedule: when the condition becomes true."""
    asked = body or AlertExecuteBody()
    started = await execute_alert(context, access, alert, asked, key_of(idempotency_key))
    answer = AlertExecutionStarted(**started.model_dump(), warnings=asked.warnings())
    headers = {"Location": f"/v1/alerts/executions/{quote(started.execution_id)}"}
    return json_response(answer, status=202, headers=headers)


@router.get(
    "/{alert}/executions",
    summary="List the executions of an alert",
    responses=answers(AlertExecutionList, 400, 404, 422, headers=LINK_HEADER),
)
async def list_of_alert(
    context: ContextDep, access: ReadAccess, alert: PathName, paging: PagingDep
) -> Response:
    """Newest first; without matches."""
    page = page_of(paging)
    return _list_response(page, await executions_of(context, access, alert, page))


@router.get(
    "/{alert}/results",
    summary="Get the latest result of an alert",
    responses=answers(AlertExecution, 400, 404),
)
async def get_latest(context: ContextDep, access: ReadAccess, alert: PathName) -> Response:
    """Of the newest execution that went through, whether it triggered or not."""
    return json_response(await latest_result(context, access, alert))


def _list_response(page: Page, found: RunListing) -> Response:
    total = found.total if page.include_total else None
    answer = AlertExecutionList.model_validate(
        {
            "results": found.executions,
            "pagination": pagination(page, next_cursor=found.next_cursor, total=total),
            "total_count": found.total,
        }
    )
    return json_response(answer, headers=next_link(found.next_cursor, page))
