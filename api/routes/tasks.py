"""Tasks: what runs in the background, in every namespace that the key may use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.deps import ContextDep, PathId, ReaderDep
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of, pagination
from api.schemas.common import Deleted
from api.schemas.tasks import Task, TaskList, TaskListBody
from api.services.tasks.tasks import get_task, kill_task, list_tasks

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=JsonRoute)


@router.post("/list", summary="List tasks", responses=answers(TaskList, 400, 422, headers=LINK_HEADER))
async def list_of_tasks(
    context: ContextDep,
    caller: ReaderDep,
    paging: PagingDep,
    body: Annotated[TaskListBody | None, Body()] = None,
) -> Response:
    """Executions of all retrievers, newest first. Filters, search and orders look at the newest 1,000."""
    asked = body or TaskListBody()
    page = page_of(paging, asked)
    found = await list_tasks(context, caller, asked, page)
    answer = TaskList(
        results=list(found.results),
        pagination=pagination(page, next_cursor=found.next_cursor, total=found.total),
        warnings=[*asked.warnings(), *found.warnings],
    )
    return json_response(answer, headers=next_link(found.next_cursor, page))


@router.get("/{task_id}", summary="Get a task", responses=answers(Task, 404))
async def get_of_task(context: ContextDep, caller: ReaderDep, task_id: PathId) -> Response:
    """An execution by its id, or the deletion of a namespace by the id that was answered for it."""
    return json_response(await get_task(context, caller, task_id))


@router.delete("/{task_id}", summary="Cancel a task", responses=answers(Deleted, 504))
async def kill(context: ContextDep, caller: ReaderDep, task_id: PathId) -> Response:
    """As the cancel of an execution: at once, also while it runs. May be repeated; any id is accepted."""
    return json_response(await kill_task(context, caller, task_id))
