"""Other views of one execution: its live status, and the profile of its stages."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.services.executions.answers import answer_body
from api.services.executions.reading import learn_wait_reason, read, with_queue_position
from shared.clock import iso
from shared.errors import Gone, NotFound
from shared.stores.executions import StoredExecution

_RESULT = ("documents", "pagination", "stage_statistics", "budget")


async def status_of_execution(
    context: ApiContext, access: Access, retriever: str, execution_id: str
) -> dict[str, Any]:
    """Live from the record, with the result once it has ended; its line of the history when that is all.

    Raises:
        NotFound: unknown here.
    """
    try:
        stored, lease_ends_ms = await asyncio.gather(
            read(context, access, retriever, execution_id), context.executions.lease_ends_ms(execution_id)
        )
    except Gone as gone:
        rest = {"source": "history", "current_stage": None, "completed_stages": None}
        return {**gone.details, **rest}
    await learn_wait_reason(context, stored)
    stored = await with_queue_position(context, stored)
    answer = orjson.loads(answer_body(context, stored))
    skipped = {each["stage"] for each in answer["degraded"]}
    stages = answer["stage_statistics"]["stages"]
    answer["completed_stages"] = [
        name for name, entry in stages.items() if "error" not in entry or name in skipped
    ]
    answer["source"] = "record"
    answer |= _lease(context, stored, lease_ends_ms)
    return answer if stored.is_terminal else {k: v for k, v in answer.items() if k not in _RESULT}


def _lease(context: ApiContext, stored: StoredExecution, ends_ms: int | None) -> dict[str, str | None]:
    if ends_ms is None or stored.is_terminal:
        return {"lease_expires_at": None, "heartbeat_at": None}
    return {"lease_expires_at": iso(ends_ms), "heartbeat_at": iso(ends_ms - context.settings.lease_ms)}


async def profile_of_execution(
    context: ApiContext, access: Access, retriever: str, execution_id: str
) -> dict[str, Any]:
    """Timings and counts by stage, so far.

    Raises:
        NotFound: unknown here, or no stage has ended. Gone: as `read`.
    """
    stored = await read(context, access, retriever, execution_id)
    answer = orjson.loads(answer_body(context, stored))
    statistics = answer["stage_statistics"]
    stages = statistics["stages"]
    if not stages:
        raise NotFound(
            f"{execution_id} ({stored.status}) has no profile: no stage of it has ended", code="no_profile"
        )
    time_ms = sum(entry["duration_ms"] for entry in stages.values())
    return {
        "execution_id": execution_id,
        "retriever_id": stored.retriever_id,
        "status": stored.status,
        "attempt": answer["attempt"],
        "queued_ms": _queued_ms(answer["created_at"], answer["started_at"]),
        "total_time_ms": statistics["total_time_ms"],
        "stages": [_entry(index, name, entry, time_ms) for index, (name, entry) in enumerate(stages.items())],
        "slowest_stage": max(stages, key=lambda name: stages[name]["duration_ms"]),
        "optimizer": {
            "pushed_down": [
                name for name, entry in stages.items() if entry.get("metadata", {}).get("pushed_down")
            ]
        },
    }


def _entry(index: int, name: str, entry: dict[str, Any], time_ms: float) -> dict[str, Any]:
    return {
        "stage_name": name,
        "stage_index": index,
        "input_count": entry["input_count"],
        "output_count": entry["output_count"],
        "duration_ms": entry["duration_ms"],
        "efficiency": entry["efficiency"],
        "share": round(entry["duration_ms"] / time_ms, 6) if time_ms else 0.0,
        "error": entry.get("error"),
        "metadata": entry.get("metadata", {}),
    }


def _queued_ms(created_at: str, started_at: str | None) -> int | None:
    if started_at is None:
        return None
    waited = datetime.fromisoformat(started_at) - datetime.fromisoformat(created_at)
    return round(waited.total_seconds() * 1000)
