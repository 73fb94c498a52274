"""What the operations share that are described as routes and served by api.hot.FrontDoor."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query, Response

from api.errors import MethodNotAllowed

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


def served_by_the_front_door() -> Response:
    """Only GET …/executions/list gets here: `list` is no id."""
    raise MethodNotAllowed("this path takes POST", details={"allow": "POST"})
