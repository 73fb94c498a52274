"""Evaluations of alerts as answers show them: one, the latest, and lists, newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.paging import Page
from api.schemas.alert_executions import AlertChannelDelivery, AlertExecution
from api.services.executions.answers import readable_id
from api.services.executions.history import position_of
from api.services.executions.reading import CANCEL_REASON
from shared.errors import Gone, NotFound
from shared.models.alert import Alert
from shared.models.alert_run import AlertRun
from shared.models.execution import Status
from shared.stores.alert_runs import Told
from shared.stores.executions import Cancellation

# Of a delivery, in the contract's words.
_DELIVERED = {"delivered": "delivered", "failed": "failed", "pending": "deferred", "sending": "deferred"}


@dataclass(frozen=True, slots=True)
class RunListing:
    """One page of a list, and how many there are in all."""

    executions: Sequence[AlertExecution]
    total: int
    next_cursor: str | None


async def alert_execution(context: ApiContext, access: Access, execution_id: str) -> AlertExecution:
    """As it is now, with its matches.

    Raises:
        NotFound: unknown here, or its alert was deleted. Gone: its matches have expired.
    """
    execution_id = readable_id(execution_id)
    stored = await context.alert_runs.read(execution_id)
    if stored is None:
        raise await _missing(context, access, execution_id)
    if stored.namespace_id != access.namespace_id:
        raise _unknown(execution_id)
    alert = await _alert_of(context, access, stored.alert_id, execution_id)
    [shown] = await _shown(context, [(alert, orjson.loads(stored.line))])
    matches = stored.finding["matches"] if stored.finding and alert.include_matches else None
    return AlertExecution.model_validate(
        {**shown.model_dump(), "matches": matches, "error": stored.state["error"]}
    )


async def latest_result(context: ApiContext, access: Access, alert: str) -> AlertExecution:
    """Of the newest evaluation that went through.

    Raises:
        NotFound: no such alert, or none went through yet.
    """
    found = await context.alert_service.find(access.namespace_id, alert)
    ends = await asyncio.gather(
        *(
            context.executions.history(found.alert_id, status, below=None, offset=0, limit=1)
            for status in (Status.COMPLETED, Status.DEGRADED)
        )
    )
    newest = max((row for _, rows in ends for row in rows), default=None)
    if newest is None:
        raise NotFound(f"the alert {alert!r} has no result yet", code="no_result")
    line = orjson.loads(newest[1])
    try:
        return await alert_execution(context, access, line["execution_id"])
    except Gone:  # what is left is its line
        [shown] = await _shown(context, [(found, line)])
        return shown


async def executions_of(context: ApiContext, access: Access, alert: str, page: Page) -> RunListing:
    """Of one alert. Raises NotFound. BadRequest: a cursor of another list."""
    found = await context.alert_service.find(access.namespace_id, alert)
    below, offset = await _position(context, page, ["alert_runs", found.alert_id])
    total, rows = await context.executions.history(
        found.alert_id, None, below=below, offset=offset, limit=page.limit + 1
    )
    return await _listing(context, page, ["alert_runs", found.alert_id], total, rows, {found.alert_id: found})


async def executions_of_all(context: ApiContext, access: Access, page: Page) -> RunListing:
    """Of all alerts of the namespace. Raises BadRequest: a cursor of another list."""
    query = ["alert_runs", access.namespace_id]
    below, offset = await _position(context, page, query)
    total, rows = await context.alert_runs.of_namespace(
        access.namespace_id, below=below, offset=offset, limit=page.limit + 1
    )
    alerts = await context.alert_service.find_many({_run_of(orjson.loads(row)).alert_id for _, row in rows})
    return await _listing(context, page, query, total, rows, alerts)


async def cancel_alert_execution(context: ApiContext, access: Access, execution_id: str) -> Cancellation:
    """End it now; then it tells nobody.

    Raises:
        As `alert_execution`. OutcomeUnknown: it may have been cancelled; asking again is harmless.
    """
    execution = await alert_execution(context, access, execution_id)
    done = await context.executions.cancel(execution.execution_id, CANCEL_REASON)
    if done is None:  # it has expired since
        raise await _missing(context, access, execution.execution_id)
    return done


async def _position(context: ApiContext, page: Page, query: Any) -> tuple[int | None, int]:
    """Behind which sequence number, and how many to leave out from there."""
    if page.cursor is None:
        return None, page.offset
    below, _ = await position_of(context, page.cursor, query)
    return below, 0


async def _listing(
    context: ApiContext,
    page: Page,
    query: Any,
    total: int,
    rows: Sequence[tuple[int, bytes]],
    alerts: dict[str, Alert],
) -> RunListing:
    """Of one row more than the page has, where the list goes on."""
    kept, more = rows[: page.limit], len(rows) > page.limit
    lines = [orjson.loads(row) for _, row in kept]
    known = [(alerts[alert_id], line) for line in lines if (alert_id := _run_of(line).alert_id) in alerts]
    cursor = await context.cursors.seal([kept[-1][0], page.offset + len(kept)], query) if more else None
    return RunListing(await _shown(context, known), total, cursor)


async def _shown(context: ApiContext, found: Sequence[tuple[Alert, dict[str, Any]]]) -> list[AlertExecution]:
    """Without matches. Each is an alert and the line of one of its executions."""
    told = await context.alert_runs.told([(alert.alert_id, line["execution_id"]) for alert, line in found])
    return [_answer(alert, line, each) for (alert, line), each in zip(found, told, strict=True)]


def _answer(alert: Alert, line: dict[str, Any], told: Sequence[Told]) -> AlertExecution:
    run = _run_of(line)
    return AlertExecution(
        alert_id=run.alert_id,
        collection_id=run.collection_id,
        execution_id=line["execution_id"],
        status=line["status"],
        mode=run.mode,
        triggered=line.get("triggered", False),
        match_count=line.get("match_count", 0),
        matches=None,
        source_documents=list(run.source_documents),
        executed_at=line["completed_at"] or line["created_at"],
        duration_ms=line["duration_ms"],
        due_at=run.due_at,
        is_late=run.is_late,
        deliveries=[_delivery(alert, each) for each in told] or None,
        error=run.problem,
    )


def _delivery(alert: Alert, told: Told) -> AlertChannelDelivery:
    if told.channel >= len(alert.channel_types):
        words = "the alert has no such channel any more"
        return AlertChannelDelivery(channel_type="removed", status="not_configured", error=words)
    status = _DELIVERED[told.status]
    return AlertChannelDelivery.model_validate(
        {"channel_type": alert.channel_types[told.channel], "status": status, "error": told.error}
    )


def _run_of(line: dict[str, Any]) -> AlertRun:
    return AlertRun.from_json(orjson.dumps(line["alert"]))


async def _alert_of(context: ApiContext, access: Access, alert_id: str, execution_id: str) -> Alert:
    try:
        return await context.alert_service.find(access.namespace_id, alert_id)
    except NotFound as error:
        raise _unknown(execution_id) from error


async def _missing(context: ApiContext, access: Access, execution_id: str) -> NotFound | Gone:
    """Gone with a tombstone when it was one of an alert of this namespace, else NotFound."""
    summary = await context.executions.tombstone(execution_id)
    tombstone = orjson.loads(summary) if summary else {}
    if "alert" not in tombstone:
        return _unknown(execution_id)
    await _alert_of(context, access, tombstone["alert"]["alert_id"], execution_id)
    return Gone(
        f"what {execution_id} found ({tombstone['status']}) has expired; execute the alert again",
        details=tombstone,
    )


def _unknown(execution_id: str) -> NotFound:
    return NotFound(f"no alert here has an execution {execution_id!r}", code="execution_not_found")
