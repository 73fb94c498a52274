"""A run of an alert: what makes an execution one, and what it says in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import orjson

from shared.models.alert import Mode


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
    condition: Mapping[str, Any] | None = None  # of a system alert: what it looks at, instead of a retriever

    def with_problem(self, problem: str) -> Self:
        return replace(self, problem=problem)

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
    mark: str = ""  # what the alert's next look at its metric goes on with; "" = as it is
