"""What is answered about an execution: its stored bytes joined, and what the API itself knows."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

import orjson

from api.context import ApiContext
from api.services.executions.adhoc import adhoc_members
from api.services.executions.reading import wait_reason
from shared import ids
from shared.stores.executions import StoredExecution

_EXECUTION_ID = re.compile(r"exec_[A-Za-z0-9_-]{1,64}")


def answer_body(context: ApiContext, stored: StoredExecution) -> bytes:
    """The JSON object; await `learn_wait_reason` and `with_queue_position` before that of a pending one."""
    waiting = waiting_members(wait_reason(context, stored), stored.queue_position)
    adhoc = adhoc_members(stored) if ids.is_adhoc(stored.retriever_id) else b""
    return stored.head + stored.state + waiting + adhoc + stored.detail


def waiting_members(reason: str | None, position: int | None) -> bytes:
    """The members that tell of a queue."""
    if reason is None:
        return b',"wait_reason":null,"retry_at":null,"queue_position":null'
    retry_at = b"" if reason == "retry_backoff" else b',"retry_at":null'  # else the state says when
    place = b"null" if position is None else b"%d" % position
    return b',"wait_reason":"%s"%s,"queue_position":%s' % (reason.encode(), retry_at, place)


def with_legacy_results(stored: StoredExecution) -> StoredExecution:
    """The documents once more, under their old name `results`."""
    detail = orjson.loads(b"{" + stored.detail[1:])
    return replace(stored, detail=b"," + orjson.dumps(detail | {"results": detail["documents"]})[1:])


def location_of(stored: StoredExecution) -> str:
    """Where to poll it."""
    owner = "" if ids.is_adhoc(stored.retriever_id) else f"/{quote(stored.retriever_id)}"
    return f"/v1/retrievers{owner}/executions/{stored.execution_id}"


def readable_id(execution_id: str) -> str:
    """The id if it could be one; else one that no execution has: the same 404 as for any unknown one."""
    return execution_id if _EXECUTION_ID.fullmatch(execution_id) else "exec_-"
