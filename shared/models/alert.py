"""Alerts: what is watched, when it counts, whom it tells. Pure; shared/stores/alerts.py stores them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SECONDS_MAX = 2_592_000  # 30 days: the longest cooldown and the longest interval
INTERVAL_MIN_S = 60
SYSTEM_INTERVAL_S = 60  # of a system alert without a schedule
PRIORITY_MAX = 1_000
ATTACHED_MAX = 20  # alerts at one collection: each document written there starts that many runs

# The system conditions that have a metric here, with their parameters: (default, least, greatest).
SYSTEM_PARAMETERS: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    # The longest wait in a queue of executions, or no worker online.
    "task_queue_degraded": {"max_wait_seconds": (60, 1, SECONDS_MAX)},
    # The share that failed of the executions that ended since the last look.
    "batch_error_rate": {"error_rate_threshold": (0.1, 0, 1), "min_count": (10, 1, 1_000_000)},
}


class Mode(StrEnum):
    """What starts an evaluation, as an attachment to a collection names it."""

    ON_INGEST = "on_ingest"
    SCHEDULED = "scheduled"
    ON_DEMAND = "on_demand"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Threshold(_Part):
    """A comparison with the first row; a bare field is also looked up in its metadata."""

    field: str
    operator: Literal["gt", "gte", "lt", "lte", "eq", "ne"]
    value: Any


class Schedule(_Part):
    """When a scheduled alert runs: exactly one of the two is set."""

    interval_seconds: int | None = None
    cron: str | None = None  # five fields
    timezone: str = "UTC"  # of `cron`; an IANA name


class SystemCondition(_Part):
    """A metric of Kennel itself, with thresholds in place of its defaults."""

    type: str
    params: Mapping[str, Any] = {}

    def parameter(self, name: str) -> float:
        """As given, else the default."""
        default, _, _ = SYSTEM_PARAMETERS[self.type][name]
        return float(self.params.get(name, default))


class Mapped(_Part):
    """One input of the retriever: a value, or where in the ingested document it is (a dotted path)."""

    input_key: str
    source_type: Literal["document_field", "constant"]
    path: str | None = None
    value: Any = None


class Attachment(_Part):
    """An alert at a collection, as the collection's `alert_applications` say."""

    alert_id: str
    execution_mode: Mode = Mode.ON_INGEST
    input_mappings: tuple[Mapped, ...]
    priority: int = 0  # of several alerts at one collection; higher runs first

    @property
    def reads_document(self) -> bool:
        """False: one run does for all documents of a write, since their content decides nothing."""
        return any(each.source_type == "document_field" for each in self.input_mappings)


class Alert(_Part):
    """An alert as it is stored. Its channels are sealed: URLs, headers and secrets are no one else's."""

    alert_id: str
    namespace_id: str
    name: str
    description: str | None = None
    source: Literal["retriever", "system"] = "retriever"
    retriever_id: str | None = None  # None for a system alert
    system_condition: SystemCondition | None = None
    trigger_on: Literal["results", "no_results"] = "results"
    min_count: int = 1
    threshold: Threshold | None = None
    inputs: Mapping[str, Any] = {}
    schedule: Schedule | None = None
    cooldown_seconds: int = 0
    renotify_interval_seconds: int | None = None
    include_matches: bool = True
    include_scores: bool = True
    sealed_channels: str
    channel_types: tuple[str, ...] = Field(description="Of the sealed channels, in their order.")
    enabled: bool = True
    metadata: Mapping[str, Any] | None = None
    created_at: str
    updated_at: str


def attachments_of(collection: Mapping[str, Any], mode: Mode) -> tuple[Attachment, ...]:
    """Those of a collection's body that run in this mode, higher priority first."""
    found = [each for each in all_attachments(collection) if each.execution_mode == mode]
    return tuple(sorted(found, key=lambda each: -each.priority))


def all_attachments(collection: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """Those of a collection's body, in its order."""
    return tuple(_attachment(each) for each in collection.get("alert_applications", ()))


def _attachment(application: Mapping[str, Any]) -> Attachment:
    mappings = [{"input_key": each["input_key"], **each["source"]} for each in application["input_mappings"]]
    return Attachment.model_validate({**application, "input_mappings": mappings})
