"""Alerts: what is watched, when it counts, whom it tells. Pure; shared/stores/alerts.py stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field

SECONDS_MAX = 2_592_000  # 30 days: the longest cooldown and the longest interval
PRIORITY_MAX = 1_000


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


@dataclass(frozen=True, slots=True)
class AlertRun:
    """What makes an execution the evaluation of an alert: the field `alert` of its record."""

    alert_id: str
    mode: Mode
    collection_id: str = ""  # where the alert is attached; "" = nowhere
    source_documents: Sequence[str] = ()  # on ingest: the documents that started it
    due_at: str | None = None  # scheduled: ISO 8601
    is_late: bool = False  # scheduled: nobody was there when it was due
    problem: str | None = None  # why it cannot run: its inputs do not fit the retriever

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        data = orjson.loads(raw)
        return cls(**{**data, "mode": Mode(data["mode"])})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a run found, ready to store; whether it fires is decided where it is stored."""

    finding: bytes  # JSON: triggered, match_count, matches
    holds: bool
    kind: Literal["event", "level", "silent"]  # silent: its alert is disabled
    source: str  # what the level is of: a collection id, or ""
    cooldown_s: int
    renotify_s: int | None
    payload: bytes  # of the event
    lanes: Sequence[tuple[str, int]]  # each channel's, with its timeout (ms)
