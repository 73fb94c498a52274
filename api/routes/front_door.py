"""What the operations share that are described as routes and served by api.hot.FrontDoor."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Query, Response
from pydantic import BaseModel

from api.errors import MethodNotAllowed
from api.openapi import described

ExecutePrefer = Annotated[
    str | None,
    Header(alias="Prefer", description="`wait=N` holds the answer; `respond-async` answers 202."),
]
PollPrefer = Annotated[
    str | None, Header(alias="Prefer", description="`wait=N`: hold until it changes (or ends).")
]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="Same key and body: the same execution.")
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="An ETag; 304 while nothing has changed.")
]
LegacyResults = Annotated[bool, Query(description="Add `results`, a copy of the documents.")]
PartialResults = Annotated[
    bool, Query(description="Show the last finished stage's documents of one that has not gone through.")
]
ReturnVectors = Annotated[bool, Query(description="Add each document's vectors to its payload.")]

STATE_HEADERS = {
    "ETag": "The revision, for If-None-Match.",
    "Retry-After": "While it has not ended: when to poll (s).",
    "Preference-Applied": "What of Prefer was honoured.",
}
SUBMIT_HEADERS = {"Location": "Where to poll.", **STATE_HEADERS}
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since If-None-Match.", "headers": described(STATE_HEADERS)}
}
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", description="The id of the last event seen: go on behind it.")
]
_EVENT_STREAM: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "data": {"type": "string"}},
            "required": ["data"],
            "examples": [
                {
                    "id": "2-1",
                    "data": '{"event_type":"stage_start","execution_id":"exec_7h3k9m2p4q6r8s1t",'
                    '"total_stages":1,"stage_name":"search","stage_index":0}',
                }
            ],
        }
    }
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Its events, each with an id; comments in between.", "content": _EVENT_STREAM},
    204: {"description": "Last-Event-ID names the last event: there is no more to come."},
}


def accepted(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The 202 that `Prefer: respond-async` asks for."""
    description = "As the 200, when `Prefer: respond-async` was sent and it has not ended."
    return {202: {"model": model, "description": description, "headers": described(SUBMIT_HEADERS)}}


def served_by_the_front_door() -> Response:
    """Only GET …/executions/list gets here: `list` is no id."""
    raise MethodNotAllowed("this path takes POST", details={"allow": "POST"})
