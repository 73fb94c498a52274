"""The answers about executions as the wire contract states them: names, required fields, ranges.

Strict, so that "1", 1.0 for an integer or a null in a required place is refused, as the field's client does.
Fields beyond these are Kennel's own; `MODEL.model_extra` holds them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]

STATUSES = ("pending", "processing", "completed", "degraded", "failed", "cancelled")
TERMINAL = ("completed", "degraded", "failed", "cancelled")


class Contract(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class Times(Contract):
    """Times are ISO 8601 strings in UTC."""

    @field_validator(
        "created_at", "completed_at", "timestamp", "executed_at", mode="before", check_fields=False
    )
    @classmethod
    def _utc(cls, value: Any) -> Any:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            assert parsed.utcoffset() is not None, f"{value!r} has no time zone"
            return parsed
        return value


class StageEntry(Contract):
    input_count: Count
    output_count: Count
    duration_ms: Amount
    efficiency: Amount
    cache_hit: bool | None = None
    stage_cache_hit: bool | None = None
    cached_at: float | None = None
    error: str | None = None
    llm_calls: Count | None = None
    tokens_used: Count | None = None
    metadata: dict[str, Any] | None = None


class StageStatistics(Contract):
    stages: dict[str, StageEntry]
    total_time_ms: Amount
    credits_used: Amount
    server_service_ms: float | None = None


class Budget(Contract):
    credits_used: Amount
    credits_remaining: Amount | None
    time_used_ms: Amount


class Degraded(Contract):
    resource: Text
    id: str | None = None
    reason: Text
    next_step: Text
    stage: str | None = None


class Limit(Contract):
    name: Text
    requested: int
    applied: int
    ceiling: int
    stage: str | None = None


class Interpretation(Contract):
    provided_input_keys: list[str]
    inferred_inputs: dict[str, Any]
    ignored_input_keys: list[str]
    relaxations: list[str]


class OffsetPagination(Contract):
    method: Literal["offset"]
    page_number: Annotated[int, Field(ge=1)]
    page_size: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1)]
    offset: Count
    returned: Count
    total: Count
    has_next: bool
    has_previous: bool


class CursorPagination(Contract):
    method: Literal["cursor"]
    limit: Annotated[int, Field(ge=1)]
    page_size: Annotated[int, Field(ge=1)]
    returned: Count
    total: Count
    cursor: str | None
    has_next: bool


class KeysetPagination(Contract):
    method: Literal["keyset"]
    limit: Annotated[int, Field(ge=1)]
    returned: Count
    total: Count
    next_cursor: dict[str, Any] | None
    after: dict[str, Any] | None
    has_next: bool


class ScrollPagination(Contract):
    method: Literal["scroll"]
    scroll_id: str | None
    limit: Annotated[int, Field(ge=1)]
    returned: Count
    total: Count
    has_next: bool


class ResultDocument(Contract):
    document_id: Text
    collection_id: Text
    payload: dict[str, Any]
    score: float


class ExecuteAnswer(Contract):
    """POST execute (section 2.4)."""

    execution_id: Annotated[str, Field(pattern=r"^exec_[A-Za-z0-9]+$")]
    status: Literal["pending", "processing", "completed", "degraded", "failed", "cancelled"]
    documents: list[ResultDocument]
    pagination: Annotated[
        OffsetPagination | CursorPagination | KeysetPagination | ScrollPagination,
        Field(discriminator="method"),
    ]
    stage_statistics: StageStatistics
    budget: Budget
    error: str | None = None
    retriever_id: str = ""
    degraded: list[Degraded] | None = None
    limits: list[Limit] | None = None
    warnings: list[str] | None = None
    interpretation: Interpretation | None = None
    facets: list[dict[str, Any]] | None = None
    cached_at: float | None = None
    cache_hit: bool = False
    completeness: dict[str, str] | None = None
    optimization_applied: bool = False
    optimization_summary: dict[str, Any] | None = None


class ExecutionDetail(ExecuteAnswer, Times):
    """GET execution (section 2.10): the same and its progress."""

    created_at: datetime
    completed_at: datetime | None
    current_stage: str | None
    stages_completed: Count
    total_stages: Count
    documents_retained: bool = False
    total_returned: int | None = None
    trace_id: str | None = None


class AdhocSummary(Times):
    """A line of the ad-hoc list (section 2.14)."""

    execution_id: Annotated[str, Field(pattern=r"^exec_[A-Za-z0-9]+$")]
    execution_mode: Literal["adhoc"]
    status: Literal["pending", "processing", "completed", "degraded", "failed", "cancelled"]
    timestamp: datetime
    duration_ms: Amount
    credits_used: Amount
    total_processed: Count
    total_returned: Count
    stages_completed: Count
    total_stages: Annotated[int, Field(ge=1)]
    cache_hit_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    query_summary: str | None = None
    collection_ids: list[str] | None = None


class AdhocDetail(AdhocSummary):
    """GET ad-hoc execution: inputs as JSON text and their SHA-1; the rest of an execution are extras."""

    inputs: str | None = None
    inputs_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None


class AdhocList(Contract):
    results: list[AdhocSummary]
    total: Count
    pagination: dict[str, Any] | None = None


class ExecutionSummary(Times):
    """A line of executions/list (section 2.11)."""

    execution_id: Text
    status: Literal["pending", "processing", "completed", "degraded", "failed", "cancelled"]
    created_at: datetime
    duration_ms: Amount
    credits_used: Amount
    total_processed: Count
    total_returned: Count
    completed_at: datetime | None = None
    cache_hit_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    inputs_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    query_summary: str | None = None
    trace_id: str | None = None


class PaginationMetadata(Contract):
    total: Count
    limit: Count
    offset: Count
    has_next: bool


class ExecutionList(Contract):
    results: list[ExecutionSummary]
    pagination: PaginationMetadata


class AlertMatch(Contract):
    document_id: Text
    score: Annotated[float, Field(ge=0, le=1)]
    asset_id: str | None = None
    matched_features: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class AlertDelivery(Contract):
    channel_type: Text
    status: Literal["delivered", "failed", "deferred", "not_configured"]
    error: str | None = None


class AlertExecution(Times):
    """GET alert execution (section 10.4)."""

    alert_id: Text
    collection_id: str
    triggered: bool
    match_count: Count
    executed_at: datetime
    duration_ms: Count
    execution_id: str | None = None
    matches: list[AlertMatch] | None = None
    source_documents: list[str] | None = None
    deliveries: list[AlertDelivery] | None = None


class ErrorBody(Contract):
    message: Text
    type: Text
    code: str | None = None
    details: dict[str, Any] | None = None


class ErrorEnvelope(Contract):
    """Every answer that is not 2xx (section 1.5)."""

    success: Literal[False]
    status: int
    error: ErrorBody
