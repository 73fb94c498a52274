"""Batches of thousands: the lines of an upload, and what is answered about them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.common import RequestModel
from api.schemas.pagination import SIZE_MAX
from shared.models.execution import Priority

LINES_MAX = 10_000
LINE_MAX_BYTES = 1_000_000
REFUSED_LINES_MAX = 100  # of these an upload's answer tells the reason
CALLER_ID_MAX_CHARS = 255


class BatchLineBody(RequestModel):
    """One line of an upload: an execution of its own. Other keys are ignored, and named in its warnings."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={"example": {"id": "row-1", "inputs": {"query": "parse json"}}},
    )

    id: str | None = Field(
        None, max_length=CALLER_ID_MAX_CHARS, description="The caller's own name for the line."
    )
    retriever: str | None = Field(None, description="Id or name; by default the one of the query.")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Values for the input_schema.")
    filters: dict[str, Any] | None = Field(None, description="Filter tree AND-ed with the stages' own.")
    collection_identifiers: list[str] | None = Field(
        None, min_length=1, max_length=1000, description="Ids and names that replace the retriever's own."
    )
    limit: int | None = Field(None, ge=1, le=SIZE_MAX, description="Documents in the result; 20.")
    priority: Priority = Field("bulk", description="Which queue it waits in.")


class LineError(BaseModel):
    """Why a line was refused."""

    message: str
    code: str
    details: dict[str, Any]


class RefusedLine(BaseModel):
    line: int = Field(ge=1, description="Its number in the upload.")
    error: LineError


class BatchUpload(BaseModel):
    """What became of the lines of an upload that was received whole."""

    batch_id: str
    lines: int = Field(ge=0, description="Without blank ones; accepted + refused.")
    accepted: int = Field(ge=0, description="These are in the batch now.")
    replayed: int = Field(ge=0, description="Of the accepted: were in it already, by the Idempotency-Key.")
    refused: int = Field(ge=0)
    refused_lines: list[RefusedLine] = Field(description="The first 100 of the refused.")
    complete: Literal[True]


class StatusCounts(BaseModel):
    """How many executions are in each status; their sum is `submitted`."""

    pending: int = Field(ge=0)
    processing: int = Field(ge=0)
    completed: int = Field(ge=0)
    degraded: int = Field(ge=0)
    failed: int = Field(ge=0)
    cancelled: int = Field(ge=0)


class BatchRead(BaseModel):
    """A batch as it is now."""

    batch_id: str
    status: Literal["uploading", "running", "ended"]
    complete: bool = Field(description="Whether the latest upload was received to its last line.")
    submitted: int = Field(ge=0)
    counts: StatusCounts
    finished: int = Field(ge=0, description="In a terminal status, whichever.")
    failed: int = Field(ge=0)
    refused: int = Field(ge=0, description="Lines of the latest upload that became no execution.")
    refused_lines: list[RefusedLine] = Field(description="The first 100 of them.")
    rate_per_s: float = Field(ge=0, description="Executions finished per second.")
    rate_over: Literal["recent", "whole_run"] = Field(
        description="recent: the last 10 to 20 s. whole_run: since the first start, at first and at the end."
    )
    eta_s: float | None = Field(description="At this rate (s); null while there is none.")
    created_at: str
    started_at: str | None = Field(description="When the first of them was started.")
    ended_at: str | None = Field(description="When the last of them ended.")
    cancelled_at: str | None


class BatchList(BaseModel):
    """A page of batches, newest first."""

    results: list[BatchRead]
    total: int = Field(ge=0)
    pagination: dict[str, Any]


class BatchCancellation(BaseModel):
    """What a cancel did to the executions of a batch."""

    batch_id: str
    removed_from_queue: int = Field(ge=0)
    stopping: int = Field(ge=0, description="A worker was running them, and stops.")
    already_terminal: int = Field(ge=0)


class BatchResultLine(BaseModel):
    """One line of the results: an execution as its own GET answers it, and where it came from."""

    model_config = ConfigDict(extra="allow")

    line: int = Field(ge=1)
    id: str | None = Field(description="The caller's own name for the line.")
    expired: bool = Field(description="Its result is gone; only its status is known.")
    execution_id: str
    status: str | None = Field(description="null: expired, and its summary too.")
    error: str | None
    documents: list[dict[str, Any]]
