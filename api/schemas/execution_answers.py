"""What is answered about executions. Described for OpenAPI; the bytes come from the record."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class StageStatistics(BaseModel):
    """What one stage did."""

    input_count: int = Field(ge=0)
    output_count: int = Field(ge=0)
    duration_ms: float = Field(ge=0)
    efficiency: float = Field(ge=0, description="output / input; 0 when the input is empty.")
    cache_hit: bool = False
    stage_cache_hit: bool = False
    error: str | None = Field(None, description="Why the stage was skipped or failed.")
    metadata: dict[str, Any] | None = None


class Statistics(BaseModel):
    """Statistics of the stages that have ended so far, by stage name."""

    stages: dict[str, StageStatistics]
    total_time_ms: float = Field(ge=0)
    credits_used: float = Field(ge=0)


class Execution(BaseModel):
    """An execution, whatever its state; every field is there at every moment."""

    model_config = ConfigDict(extra="allow")

    execution_id: str
    retriever_id: str
    retriever_name: str
    status: str = Field(description="pending, processing, completed, degraded, failed or cancelled.")
    revision: int = Field(description="Grows with every change; also the ETag.")
    attempt: int = Field(description="How many times a worker has started it.")
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str | None = Field(description="When its result will be gone.")
    current_stage: str | None
    stages_completed: int = Field(ge=0)
    total_stages: int = Field(ge=0)
    wait_reason: str | None = Field(
        description="Why it is pending: queued, namespace_turn (behind others of its namespace), "
        "no_worker_online, or retry_backoff until `retry_at`."
    )
    retry_at: str | None = Field(description="When it is tried again after an error that may pass.")
    queue_position: int | None = Field(ge=1, description="While it is queued: 1 = it is next.")
    documents: list[dict[str, Any]]
    pagination: dict[str, Any]
    stage_statistics: Statistics
    budget: dict[str, Any]
    error: str | None
    warnings: list[str]
    interpretation: dict[str, Any]
    is_partial: bool = Field(description="The documents are those of a stage before the last.")
    partial_from_stage: str | None = Field(description="Of which stage.")
    resumed_from_stage: str | None = Field(description="Where the newest attempt went on after a crash.")


class CancelAnswer(BaseModel):
    """What a cancel found. The execution has ended, whatever the outcome."""

    execution_id: str
    status: str = Field(description="cancelled; with already_terminal how it had ended.")
    outcome: Literal["removed_from_queue", "stopping", "already_terminal"] = Field(
        description="It had not started; a worker was running it, and stops; it had ended before."
    )
    stops_after: str | None = Field(
        description="stopping: the stage its worker leaves at the next batch of documents, or at its end."
    )
    forced_after_s: float | None = Field(
        description="stopping: how long the stage has for that, before it is ended by force."
    )
    forced_by: Literal["exception", "process"] | None = Field(
        description="stopping: an exception in its thread, which a call into C must return from first; or "
        "the end of its process, where the pool is one of processes."
    )


class ExtendAnswer(BaseModel):
    """How long the execution is kept now."""

    execution_id: str
    status: str
    revision: int
    expires_at: str
    extended: bool = Field(description="False: it was kept as long as that already, and nothing has changed.")


class ExecutionState(BaseModel):
    """An execution as it is now, without its result."""

    execution_id: str
    retriever_id: str = Field(description='"" for an ad-hoc one.')
    status: str
    revision: int
    attempt: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    expires_at: str | None
    current_stage: str | None
    stages_completed: int
    error: str | None
    wait_reason: str | None
    queue_position: int | None


class WatchAnswer(BaseModel):
    """What is not as the client knows it; both lists are empty when the time is over."""

    changed: list[ExecutionState]
    not_found: list[str] = Field(
        description="Unknown in this namespace, or expired: leave them out from now on."
    )


class AdhocSummary(BaseModel):
    """One line of a namespace's ad-hoc history."""

    execution_id: str
    execution_mode: Literal["adhoc"]
    status: str
    timestamp: str = Field(description="When it was submitted.")
    duration_ms: float = Field(ge=0)
    credits_used: float = Field(ge=0)
    total_processed: int = Field(ge=0)
    total_returned: int = Field(ge=0)
    stages_completed: int = Field(ge=0)
    total_stages: int = Field(ge=0)
    cache_hit_rate: float | None
    query_summary: str | None
    collection_ids: list[str]


class AdhocExecution(Execution):
    """An ad-hoc execution: every member of an execution, and these."""

    execution_mode: Literal["adhoc"]
    timestamp: str = Field(description="When it was submitted.")
    duration_ms: float = Field(ge=0)
    credits_used: float = Field(ge=0)
    total_processed: int = Field(ge=0)
    total_returned: int = Field(ge=0)
    cache_hit_rate: float | None
    query_summary: str | None
    collection_ids: list[str]
    inputs: str = Field(description="The inputs as JSON text.")
    inputs_hash: str


class ExecutionSummary(BaseModel):
    """One line of the history."""

    execution_id: str
    retriever_id: str
    status: str
    created_at: str
    completed_at: str | None
    expires_at: str | None = Field(None, description="When its result will be gone, or went.")
    stages_completed: int = Field(ge=0)
    duration_ms: float = Field(ge=0, description="Run time over all attempts, without the time in the queue.")
    credits_used: float = Field(ge=0)
    total_processed: int = Field(ge=0)
    total_returned: int = Field(ge=0)
    cache_hit_rate: float | None
    inputs_hash: str | None
    query_summary: str | None


class HistoryPagination(BaseModel):
    """Where the page stands."""

    total: int = Field(ge=0)
    limit: int = Field(ge=0)
    offset: int = Field(ge=0)
    has_next: bool
    next_cursor: str | None


class ExecutionHistory(BaseModel):
    """A page of executions, newest first unless `sorts` says otherwise."""

    results: list[ExecutionSummary]
    pagination: HistoryPagination
    warnings: list[str]


class AdhocList(BaseModel):
    """A page of ad-hoc executions, newest first."""

    results: list[AdhocSummary]
    total: int = Field(ge=0)
    pagination: HistoryPagination
    warnings: list[str]


class BatchResult(BaseModel):
    """What became of one query: its execution, or the error that kept it from being one."""

    model_config = ConfigDict(extra="allow")

    query_index: int = Field(ge=0)
    execution_id: str | None = Field(None, description="Absent when the query was refused.")
    status: str = Field(description="Of the execution; failed when the query was refused.")
    documents: list[dict[str, Any]]
    error: str | None
    error_code: str | None = Field(None, description="Of a refused query.")
    error_details: dict[str, Any] | None = Field(None, description="Of a refused query.")


class BatchAnswer(BaseModel):
    """One result for each query, in the order of the queries."""

    results: list[BatchResult]
    total_queries: int
    warnings: list[str]


class PlannedStage(BaseModel):
    """What one stage will probably do."""

    stage_index: int
    stage_name: str
    stage_type: str
    estimated_input: int = Field(ge=0)
    estimated_output: int = Field(ge=0)
    estimated_efficiency: float = Field(ge=0)
    estimated_cost_credits: float = Field(ge=0)
    estimated_duration_ms: float = Field(ge=0)
    cache_likely: bool
    optimization_notes: list[str] = Field(description="Where the numbers come from.")
    warnings: list[str]


class ExplainAnswer(BaseModel):
    """What an execution would do and cost."""

    retriever_id: str
    retriever_name: str
    estimated_cost: dict[str, float] = Field(description="total_credits and total_duration_ms.")
    total_estimated_stages: int
    execution_plan: list[PlannedStage]
    optimization_suggestions: list[dict[str, str]] = Field(description="type, stage and message of each.")
    bottleneck_stages: list[str] = Field(description="Stages with at least 80 % of the slowest one's time.")
    optimization_level: str
    optimization_applied: bool
    optimization_details: dict[str, Any] | None
    estimated_from: dict[str, int] = Field(description="How many executions and documents.")
    warnings: list[str]


class ExecutionStatus(BaseModel):
    """Where an execution stands; once it has ended also its whole answer."""

    model_config = ConfigDict(extra="allow")

    execution_id: str
    status: str
    source: Literal["record", "history"] = Field(description="history: its result has expired.")
    current_stage: str | None
    completed_stages: list[str] | None = Field(description="By name; null when only the history is left.")
    stages_completed: int
    lease_expires_at: str | None = Field(None, description="While a worker runs it: when it must renew.")
    heartbeat_at: str | None = Field(None, description="When that worker was last heard of.")


class StageProfileEntry(BaseModel):
    """What one stage did."""

    stage_name: str
    stage_index: int
    input_count: int
    output_count: int
    duration_ms: float
    efficiency: float
    share: float = Field(ge=0, le=1, description="Of the time of all stages.")
    error: str | None
    metadata: dict[str, Any]


class ExecutionProfile(BaseModel):
    """Timings and counts of the stages that have ended so far, in the order in which they did."""

    execution_id: str
    retriever_id: str
    status: str
    attempt: int
    queued_ms: int | None = Field(description="From its submission to its first start.")
    total_time_ms: float
    stages: list[StageProfileEntry]
    slowest_stage: str | None
    optimizer: dict[str, Any] = Field(description="pushed_down: stages whose work the engine did together.")
