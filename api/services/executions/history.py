"""The list of a retriever's executions: by index where there is one, else by scanning the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.paging import Page
from api.schemas.execution import ExecutionsListBody
from api.services.executions.history_filter import Wanted, wanted_of
from api.services.resources.listing import sort_keys
from shared.errors import BadRequest, InvalidInput
from shared.filters import Filter, SortKey, compile_predicate, parse_filter, sort_documents
from shared.models.document import Document
from shared.models.execution import Status

# Without an index only this many executions, the newest, are looked at (and said so).
SCAN_MAX = 10_000
_SCAN_BATCH = 200  # per call, a few milliseconds, so that Redis serves others in between


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Summaries as JSON, ready to be joined."""

    results: Sequence[bytes]
    total: int
    offset: int
    next_cursor: str | None
    warnings: Sequence[str] = field(default_factory=list)

    def pagination(self, limit: int) -> dict[str, Any]:
        """As answers show it; `limit` is what was asked for."""
        return {
            "total": self.total,
            "limit": limit,
            "offset": self.offset,
            "has_next": self.next_cursor is not None,
            "next_cursor": self.next_cursor,
        }


async def list_executions(
    context: ApiContext, access: Access, id_or_name: str, body: ExecutionsListBody, page: Page
) -> HistoryPage:
    """Newest first by default. A filter that asks for one status is answered as `status` is.

    Raises:
        NotFound: the retriever. InvalidInput: status, filters, sorts. BadRequest: the cursor.
    """
    retriever = await context.retrievers.resolve(access.namespace_id, id_or_name)
    order = sort_keys(body.order())
    where = parse_filter(body.filters, case_insensitive=not body.case_sensitive)
    wanted = wanted_of(where, status_of(body.status))
    if wanted.rest is None and _is_newest_first(order):
        return await newest_first(context, retriever.retriever_id, wanted.status, page)
    asked = body.model_dump(include={"status", "filters", "case_sensitive", "sort", "sorts"})
    query = ["executions", retriever.retriever_id, asked]
    return await _scanned(context, retriever.retriever_id, wanted, order, page, query)


def _is_newest_first(order: Sequence[SortKey]) -> bool:
    """Whether the order is that of the index, asked for or not."""
    return [(key.path, key.direction) for key in order] in ([], [("created_at", "desc")])


async def newest_first(
    context: ApiContext,
    retriever_id: str,
    status: Status | None,
    page: Page,
    *,
    since_ms: int | None = None,
    until_ms: int | None = None,
) -> HistoryPage:
    """A page by index; one round trip.

    Args:
        retriever_id: Or what stands in its place for ad-hoc executions.
        since_ms, until_ms: Submitted between these (since the epoch, both included).

    Raises:
        BadRequest: the cursor.
    """
    query = ["executions", retriever_id, status, since_ms, until_ms]
    below, offset = None, page.offset
    if page.cursor:
        below, offset = await position_of(context, page.cursor, query)
    total, rows = await context.executions.history(
        retriever_id,
        status,
        below=below,
        offset=0 if page.cursor else offset,
        limit=page.limit + 1,  # whether there is a next page; totals would not tell, they change meanwhile
        since_ms=since_ms,
        until_ms=until_ms,
    )
    shown, more = rows[: page.limit], len(rows) > page.limit > 0
    cursor = await context.cursors.seal([shown[-1][0], offset + len(shown)], query) if more else None
    return HistoryPage([row for _, row in shown], total, offset, cursor)


async def _scanned(
    context: ApiContext, retriever_id: str, wanted: Wanted, order: Sequence[SortKey], page: Page, query: Any
) -> HistoryPage:
    """A page of what matches among the newest; those that come meanwhile do not move the pages behind it."""
    below, offset = None, page.offset
    if page.cursor:
        below, offset = await position_of(context, page.cursor, query)
    total, rows = await _newest(context, retriever_id, wanted.status, below)
    # Tenths of a second for 10,000 of them: others are served meanwhile.
    found = await asyncio.to_thread(_selected, [row for _, row in rows], wanted.rest, order)
    following = offset + page.limit
    more = following < len(found)
    cursor = await context.cursors.seal([rows[0][0] + 1, following], query) if more else None
    warnings = []
    if len(rows) == SCAN_MAX and total > SCAN_MAX:
        warnings.append(f"filters and sorts looked at the newest {SCAN_MAX:,} of {total:,} executions only")
    shown = [orjson.dumps(each) for each in found[offset:following]]
    return HistoryPage(shown, len(found), offset, cursor, warnings)


def _selected(rows: Sequence[bytes], where: Filter | None, order: Sequence[SortKey]) -> list[dict[str, Any]]:
    return selected([orjson.loads(row) for row in rows], "execution_id", where, order)


def selected(
    rows: Sequence[dict[str, Any]], id_field: str, where: Filter | None, order: Sequence[SortKey]
) -> list[dict[str, Any]]:
    """The rows that pass, in this order; without one in their own."""
    documents = [Document(each[id_field], "", payload=each) for each in rows]
    if where is not None:
        matches = compile_predicate(where)
        documents = [each for each in documents if matches(each)]
    return [dict(each.payload) for each in (sort_documents(documents, order) if order else documents)]


async def _newest(
    context: ApiContext, retriever_id: str, status: Status | None, below: int | None
) -> tuple[int, list[tuple[int, bytes]]]:
    """As `ExecutionStore.history`, at most SCAN_MAX of them, in several calls."""
    found: list[tuple[int, bytes]] = []
    total = 0
    for _ in range(SCAN_MAX // _SCAN_BATCH):
        total, rows = await context.executions.history(
            retriever_id, status, below=below, offset=0, limit=_SCAN_BATCH
        )
        found += rows
        if len(rows) < _SCAN_BATCH:
            break
        below = rows[-1][0]
    return total, found


async def position_of(context: ApiContext, cursor: str, query: Any) -> tuple[int, int]:
    position = await context.cursors.open(cursor, query)
    if not (isinstance(position, list) and len(position) == 2):
        raise BadRequest("the cursor is not one of this list; start again without it")
    return int(position[0]), int(position[1])


def status_of(value: str | None) -> Status | None:
    if value is None:
        return None
    try:
        return Status.PROCESSING if value == "running" else Status(value)
    except ValueError:
        known = ", ".join([*Status, "running"])
        raise InvalidInput.at(("status",), f"is not a status; use one of {known}", value=value) from None
