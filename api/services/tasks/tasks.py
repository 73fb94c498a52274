"""Tasks: executions of every namespace that the caller may use, and deletions of namespaces."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.auth import Principal
from api.context import ApiContext
from api.paging import Page
from api.schemas.common import Deleted
from api.schemas.tasks import Task, TaskListBody, TaskStatus, TaskType
from api.services.executions.answers import readable_id
from api.services.executions.history import position_of, selected
from api.services.executions.reading import CANCEL_REASON, with_queue_position
from api.services.tasks.answers import STATUSES, of_deletion, of_line, of_record
from shared import ids
from shared.errors import InvalidInput, NotFound
from shared.filters import Filter, SortKey, parse_filter
from shared.filters.ast import And, AnyText
from shared.models.execution import Status
from shared.stores.executions import StoredExecution

OWNERS_MAX = 2_000  # whose executions are in one list: the newest of each namespace in turn
SCAN_MAX = 1_000  # tasks that filters, search and orders look at


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Newest first, or in the order asked for."""

    results: Sequence[Task]
    total: int
    next_cursor: str | None
    warnings: Sequence[str]


async def get_task(context: ApiContext, principal: Principal, task_id: str) -> Task:
    """Raises NotFound: unknown, expired, or of a namespace that the caller may not use."""
    stored = await _execution(context, principal, task_id)
    if stored is not None:
        return of_record(await with_queue_position(context, stored))
    deletion = await _deletion(context, principal, task_id)
    if deletion is not None:
        return of_deletion(task_id, *deletion)
    raise NotFound(f"there is no task {task_id!r}; it may have expired", code="task_not_found")


async def kill_task(context: ApiContext, principal: Principal, task_id: str) -> Deleted:
    """End it; whatever there is of that id, the answer says what was found.

    Raises:
        OutcomeUnknown: it may have been cancelled; asking again is harmless.
    """
    if await _execution(context, principal, task_id) is not None:
        done = await context.executions.cancel(task_id, CANCEL_REASON)
        if done is not None:
            after = f", its worker stops after {done.stops_after}" if done.stops_after else ""
            return Deleted(message=f"{done.outcome}: the execution is {done.status}{after}")
    elif await _deletion(context, principal, task_id) is not None:
        return Deleted(message="the deletion of a namespace cannot be cancelled; it goes on", success=False)
    return Deleted(message="there is no such task, so there is nothing to cancel")


async def list_tasks(context: ApiContext, principal: Principal, body: TaskListBody, page: Page) -> TaskPage:
    """Executions; a page by index, or for filters, search and orders by reading the newest.

    Raises:
        InvalidInput: status, type, filters, sorts. BadRequest: the cursor.
    """
    status = _status_of(body.status)
    if body.task_type not in (None, *TaskType):
        raise InvalidInput.at(
            ("task_type",), f"is none that there is here; use {TaskType.EXECUTION}", value=body.task_type
        )
    owners, warnings = await _owners(context, principal)
    if body.task_type == TaskType.NAMESPACE_DELETION:
        return TaskPage([], 0, None, [*warnings, "deletions of namespaces are not listed; get them by id"])
    if body.filters or body.search or body.order():
        return await _scanned(context, owners, status, body, page, warnings)
    query = ["tasks", principal.key_id, status]
    below, offset = None, page.offset
    if page.cursor:
        below, offset = await position_of(context, page.cursor, query)
    skipped = 0 if page.cursor else offset
    if skipped + page.limit > SCAN_MAX:
        raise InvalidInput.at(("offset",), f"reaches beyond {SCAN_MAX} tasks; go on by next_cursor")
    total, lines = await context.executions.newest(
        list(owners), status, below=below, limit=skipped + page.limit
    )
    shown = lines[skipped:]
    following = offset + len(shown)
    cursor = None
    if shown and following < total:
        cursor = await context.cursors.seal([shown[-1][0], following], query)
    return TaskPage([of_line(owners, line) for _, line in shown], total, cursor, warnings)


async def _scanned(
    context: ApiContext,
    owners: Mapping[str, str],
    status: Status | None,
    body: TaskListBody,
    page: Page,
    warnings: Sequence[str],
) -> TaskPage:
    conditions: list[Filter] = [AnyText(body.search)] if body.search else []
    if body.filters:
        found = parse_filter(body.filters, case_insensitive=not body.case_sensitive)
        conditions += [found] if found is not None else []
    order = [SortKey(sort.field, sort.direction) for sort in body.order()]
    sorts = [each.model_dump() for each in body.order()]
    query = ["tasks", list(owners), status, body.search, body.filters, sorts]
    offset = page.offset
    if page.cursor:
        _, offset = await position_of(context, page.cursor, query)
    total, lines = await context.executions.newest(list(owners), status, below=None, limit=SCAN_MAX)
    tasks = [of_line(owners, line).model_dump(mode="json") for _, line in lines]
    matching = await asyncio.to_thread(selected, tasks, "task_id", And(tuple(conditions)), order)
    shown = matching[offset : offset + page.limit]
    following = offset + len(shown)
    cursor = await context.cursors.seal([0, following], query) if following < len(matching) else None
    if total > len(lines):
        looked = f"filters, search and sorts looked at the newest {len(lines):,} of {total:,} tasks only"
        warnings = [*warnings, looked]
    return TaskPage([Task(**each) for each in shown], len(matching), cursor, warnings)


async def _owners(context: ApiContext, principal: Principal) -> tuple[dict[str, str], list[str]]:
    """In whose history executions are -> namespace id, of all that the caller may use.

    Retrievers, alerts, and what stands for a retriever of ad-hoc executions.
    """
    namespaces = [each for each in await context.namespace_service.ids() if principal.may_use(each)]
    owners = {ids.adhoc_retriever_id(each): each for each in namespaces}
    for service in (context.retriever_service, context.alert_service):
        of_each = await asyncio.gather(*(service.ids(each) for each in namespaces))
        owners |= {
            owner_id: namespace
            for namespace, owner_ids in zip(namespaces, of_each, strict=True)
            for owner_id in owner_ids
        }
    if len(owners) <= OWNERS_MAX:
        return owners, []
    kept = dict(list(owners.items())[:OWNERS_MAX])
    return kept, [
        f"only the executions of {OWNERS_MAX:,} of {len(owners):,} retrievers and alerts are listed"
    ]


async def _execution(context: ApiContext, principal: Principal, task_id: str) -> StoredExecution | None:
    stored = await context.executions.read(readable_id(task_id))
    return stored if stored is not None and principal.may_use(stored.namespace_id) else None


async def _deletion(context: ApiContext, principal: Principal, task_id: str) -> tuple[str, bool] | None:
    found = await context.namespace_service.deletion(task_id)
    return found if found is not None and principal.may_use(found[0]) else None


def _status_of(value: str | None) -> Status | None:
    if value is None:
        return None
    for status, name in STATUSES.items():
        if name == value:
            return Status(status)
    raise InvalidInput.at(("status",), f"is none of {', '.join(TaskStatus)}", value=value)
