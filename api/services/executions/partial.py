"""The documents of an execution that has not gone through: those of the last stage that ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from api.context import ApiContext
from shared.stores.executions import StoredExecution

_NO_DOCUMENTS = b',"documents":[],'
_IS_PARTIAL = b'"is_partial":true'


async def with_partial(context: ApiContext, stored: StoredExecution) -> StoredExecution:
    """With what its worker kept before it ended, or before it was lost or cancelled.

    A worker that ends a run early writes the documents itself; only then, and for those that have none, this
    costs nothing.
    """
    if not (stored.detail.startswith(_NO_DOCUMENTS) and _IS_PARTIAL in stored.detail):
        return stored
    detail = _members(stored)
    kept = await context.executions.kept(stored.execution_id) if detail["is_partial"] else None
    if kept is None:
        return stored
    stage, total, rows = kept
    documents: list[Any] = orjson.loads(rows)
    shown = {"returned": len(documents), "total": total, "has_next": False}
    return _written(
        stored,
        detail
        | {
            "documents": orjson.Fragment(rows),
            "documents_retained": True,
            "total_returned": len(documents),
            "pagination": detail["pagination"] | shown,
            "partial_from_stage": stage,
        },
    )


def without_partial(stored: StoredExecution) -> StoredExecution:
    """As if there were none to show."""
    if _IS_PARTIAL not in stored.detail:
        return stored
    detail = _members(stored)
    if not detail["is_partial"]:
        return stored
    none = {"returned": 0, "total": 0, "has_next": False}
    return _written(
        stored,
        detail
        | {
            "documents": [],
            "documents_retained": False,
            "total_returned": 0,
            "pagination": detail["pagination"] | none,
            "is_partial": False,
            "partial_from_stage": None,
        },
    )


def _members(stored: StoredExecution) -> dict[str, Any]:
    members: dict[str, Any] = orjson.loads(b"{" + stored.detail[1:])
    return members


def _written(stored: StoredExecution, members: dict[str, Any]) -> StoredExecution:
    return replace(stored, detail=b"," + orjson.dumps(members)[1:])
