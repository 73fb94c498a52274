"""Ad-hoc executions: a pipeline that is run once and not stored. One history for each namespace."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.paging import Page
from api.schemas.execution import AdhocBody, AdhocListBody
from api.services.executions.history import HistoryPage, newest_first, status_of
from api.services.resources.definitions import budget_of, definition_of
from shared import ids
from shared.inputs import validate_input_schema
from shared.models.resource import RetrieverRecord
from shared.plan import Catalogue, validate_stages
from shared.stores.executions import StoredExecution

_EPOCH = datetime.fromtimestamp(0, UTC)
_VERSION = 1  # the only one


def adhoc_retriever(namespace_id: str, body: AdhocBody, catalogue: Catalogue) -> RetrieverRecord:
    """The body as a retriever that is not stored.

    Raises:
        InvalidInput: naming every stage, parameter and input that does not fit.
    """
    stages = validate_stages(body.stages, catalogue)
    validate_input_schema(body.input_schema or {})
    definition = definition_of(
        stages,
        namespace_id=namespace_id,
        retriever_id=ids.adhoc_retriever_id(namespace_id),
        retriever_name="adhoc",
        version=_VERSION,
        collection_ids=[],
        input_schema=body.input_schema or {},
        budget_limits=budget_of(body.budget_limits),
    )
    return RetrieverRecord(definition["retriever_id"], _VERSION, b"", orjson.dumps(definition))


def adhoc_members(stored: StoredExecution) -> bytes:
    """What the answer about an ad-hoc execution has beside those of all executions (contract 2.14)."""
    state = orjson.loads(b"{" + stored.state[1:] + b"}")
    detail = orjson.loads(b"{" + stored.detail[1:])
    statistics = detail["stage_statistics"]
    stages = statistics["stages"].values()
    processed = sum(max(entry["input_count"], entry["output_count"]) for entry in stages)
    members = {
        "timestamp": state["created_at"],
        "duration_ms": statistics["total_time_ms"],
        "credits_used": statistics["credits_used"],
        "total_processed": max(processed, detail["total_returned"]),
        "cache_hit_rate": 0.0,
    }
    return b"," + orjson.dumps(members)[1:-1]


async def list_adhoc(context: ApiContext, access: Access, body: AdhocListBody, page: Page) -> HistoryPage:
    """The namespace's ad-hoc executions, newest first.

    Raises:
        InvalidInput: an unknown status. BadRequest: a cursor of another list.
    """
    found = await newest_first(
        context,
        ids.adhoc_retriever_id(access.namespace_id),
        status_of(body.status),
        replace(page, limit=0) if body.count_only else page,
        since_ms=_ms(body.start_time),
        until_ms=_ms(body.end_time),
    )
    return replace(found, results=[_summary(row) for row in found.results])


def _summary(row: bytes) -> bytes:
    """A line of the history under the contract's names."""
    line: dict[str, Any] = orjson.loads(row)
    summary = {
        "execution_id": line["execution_id"],
        "execution_mode": "adhoc",
        "status": line["status"],
        "timestamp": line["created_at"],
        "duration_ms": line["duration_ms"],
        "credits_used": line["credits_used"],
        "total_processed": line["total_processed"],
        "total_returned": line["total_returned"],
        "cache_hit_rate": line["cache_hit_rate"],
        "query_summary": line["query_summary"],
        "stages_completed": line["stages_completed"],
        "total_stages": line["total_stages"],
        "collection_ids": line["collection_ids"],
    }
    return orjson.dumps(summary)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // timedelta(milliseconds=1)
