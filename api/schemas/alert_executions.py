"""Evaluations of alerts: what a client sends and gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictStr

from api.schemas.common import Pagination, RequestModel
from shared.models.alert import Mode
from shared.models.execution import Status


class AlertExecuteBody(RequestModel):
    """All of it may be left out."""

    inputs: Annotated[dict[str, Any] | None, Field(description="In place of the alert's own.")] = None
    collection_id: Annotated[
        StrictStr | None,
        Field(description="Id or name of a collection, attached as on_demand: run with its mappings."),
    ] = None


class AlertMatch(BaseModel):
    document_id: str
    score: Annotated[float, Field(ge=0, le=1)]
    asset_id: str | None = None
    matched_features: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


class AlertChannelDelivery(BaseModel):
    channel_type: str
    status: Annotated[
        Literal["delivered", "failed", "deferred", "not_configured"],
        Field(description="deferred: on its way; not_configured: the alert has no such channel any more."),
    ]
    error: Annotated[str | None, Field(description="What was wrong with the last try.")] = None


class AlertExecution(BaseModel):
    """One evaluation: an execution of the alert's retriever, and what it means for the alert."""

    alert_id: str
    collection_id: Annotated[str, Field(description='Where the alert is attached; "": nowhere.')]
    execution_id: str
    status: Status
    mode: Annotated[Mode, Field(description="What started it.")]
    triggered: Annotated[bool, Field(description="The condition holds; whether it told, see deliveries.")]
    match_count: int
    matches: Annotated[
        list[AlertMatch] | None,
        Field(description="At most 100; null in lists, and where there are none to show (any more)."),
    ]
    source_documents: list[str]
    executed_at: Annotated[str, Field(description="When it ended; until then, when it was accepted.")]
    duration_ms: int
    due_at: Annotated[str | None, Field(description="scheduled: when it was due.")]
    is_late: Annotated[bool, Field(description="scheduled: no worker was there when it was due.")]
    deliveries: Annotated[
        list[AlertChannelDelivery] | None, Field(description="Of each channel; null when it told nobody.")
    ]
    error: Annotated[str | None, Field(description="Why it failed.")]


class AlertExecutionStarted(AlertExecution):
    warnings: list[str] = []


class AlertExecutionList(BaseModel):
    results: list[AlertExecution]
    pagination: Pagination
    total_count: int
