"""An execution in parts: the request of a submit, the claim of a worker, the detail of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import orjson

from shared.models.alert_run import AlertRun


class Status(StrEnum):
    """The statuses of an execution and where each can go."""

    PENDING = "pending"  # -> processing, cancelled
    PROCESSING = "processing"  # -> completed, degraded, failed; -> pending when its worker is lost
    COMPLETED = "completed"
    DEGRADED = "degraded"  # ended, but `on_error: skip` skipped a stage
    FAILED = "failed"
    CANCELLED = "cancelled"


# Which of the queues it waits in: those of a higher class are asked first.
Priority = Literal["interactive", "normal", "bulk"]

TERMINAL = frozenset({Status.COMPLETED, Status.DEGRADED, Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Page:
    """Which slice of the final result the answer carries. `size` documents from `offset` on."""

    method: str = "cursor"  # cursor, offset, keyset or scroll
    size: int = 20
    offset: int = 0
    after: Mapping[str, Any] | None = None  # keyset: where the page before ended; decides `offset`
    scroll_ttl_s: int = 0  # scroll: how long the id of the next page may be sent back (s)


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """What a submit asks for, with everything resolved: the worker looks nothing up by name."""

    inputs: Mapping[str, Any]
    collection_ids: Sequence[str]
    filters: Mapping[str, Any] | None = None
    page: Page = Page()
    warnings: Sequence[str] = ()
    interpretation: Mapping[str, Any] = field(default_factory=dict)
    expand: Sequence[str] = ()  # fields that hold document ids
    return_vectors: bool = False
    consistency: Mapping[str, Any] | None = None  # how fresh vectors must be: mode, max_staleness_ms
    write_token: str | None = None
    stream: bool = False  # the client follows its events, which then carry documents

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, raw: bytes) -> ExecutionRequest:
        data = orjson.loads(raw)
        return cls(**{**data, "page": Page(**data["page"])})


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run an execution, until its lease ends. `epoch` is the fencing token."""

    execution_id: str
    epoch: int
    attempt: int  # 1-based; a handed-back attempt is not counted
    spent_ms: int  # run time of earlier attempts
    retriever_id: str
    version: int
    namespace_id: str
    request: ExecutionRequest
    definition: bytes = b""  # ad-hoc only: what to run; else it is the retriever's version
    retries: int = 0  # attempts before this one that ended with an error that may pass
    waited_ms: int = 0  # in the queue, by the clock of Redis
    is_followed: bool = False  # somebody follows its events already
    alert: AlertRun | None = None  # what it evaluates


StageEventType = Literal["stage_start", "stage_complete", "stage_error"]


@dataclass(frozen=True, slots=True)
class StageEvent:
    """What an attempt tells those who follow it. `members` are of a JSON object, from the comma on."""

    type: StageEventType
    members: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Events of an attempt that are not known to have arrived; `first` is the number of the first of them."""

    first: int = 0
    events: Sequence[StageEvent] = ()


# Of one completed execution: stage name -> (documents in, documents out, duration in ms).
StageProfile = Mapping[str, tuple[int, int, float]]


def profile_json(profile: StageProfile) -> bytes:
    return orjson.dumps(profile)


def profile_from(raw: bytes) -> StageProfile:
    return {name: (count_in, count_out, ms) for name, (count_in, count_out, ms) in orjson.loads(raw).items()}


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of a retriever; None = no limit."""

    max_credits: float | None = None
    max_time_ms: int | None = None
    on_deadline: str = "fail"  # or "partial": end as degraded, with the documents so far

    def report(self, credits_used: float, time_used_ms: float) -> dict[str, Any]:
        remaining = None if self.max_credits is None else max(0.0, round(self.max_credits - credits_used, 6))
        return {
            "credits_used": round(credits_used, 6),
            "credits_remaining": remaining,
            "time_used_ms": round(time_used_ms, 3),
            "max_credits": self.max_credits,
            "max_time_ms": self.max_time_ms,
        }


@dataclass(slots=True)
class Detail:
    """The part of an answer that whoever runs the execution writes; the record's state goes before it."""

    budget: Mapping[str, Any]
    pagination: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    total_time_ms: float = 0.0
    credits_used: float = 0.0
    documents: Sequence[Any] | None = None  # result documents, or orjson.Fragment of them; None: no result
    degraded: Sequence[Mapping[str, Any]] = ()
    limits: Sequence[Mapping[str, Any]] = ()
    facets: Sequence[Mapping[str, Any]] = ()
    completeness: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    interpretation: Mapping[str, Any] = field(default_factory=dict)
    partial_from_stage: str | None = None  # whose documents these are, when it has not gone through
    resumed_from_stage: str | None = None  # where the attempt before it went on

    def to_json(self) -> bytes:
        """The members as JSON, from the comma on: the end of the answer's object."""
        body: dict[str, Any] = {
            "documents": self.documents or (),
            "documents_retained": self.documents is not None,  # an empty result is one, too
            "total_returned": len(self.documents or ()),
            "pagination": self.pagination,
            "stage_statistics": {
                "stages": self.stages,
                "total_time_ms": round(self.total_time_ms, 3),
                "credits_used": round(self.credits_used, 6),
            },
            "budget": self.budget,
            "degraded": self.degraded,
            "warnings": self.warnings,
            "interpretation": self.interpretation,
            "is_partial": self.partial_from_stage is not None,
            "partial_from_stage": self.partial_from_stage,
            "resumed_from_stage": self.resumed_from_stage,
            "cache_hit": False,
            "optimization_applied": False,
        }
        optional = {"limits": self.limits, "facets": self.facets, "completeness": self.completeness}
        body.update({name: value for name, value in optional.items() if value})
        return b"," + orjson.dumps(body)[1:]


def pagination_of(page: Page, total: int, returned: int, following: Any) -> dict[str, Any]:
    """The answer's pagination object: the union of what the contract's sources name (contract 2.3).

    Args:
        following: what to send for the page after this one: a cursor, a scroll id, the `after` of keyset;
            None on the last page and for pages by number.
    """
    body = {
        "method": page.method,
        "limit": page.size,
        "page_size": page.size,
        "returned": returned,
        "total": total,
        "has_next": page.offset + returned < total,
    }
    match page.method:
        case "offset":
            number = page.offset // page.size + 1
            return {**body, "offset": page.offset, "page_number": number, "has_previous": page.offset > 0}
        case "keyset":
            return {**body, "next_cursor": following, "after": following}
        case "scroll":
            return {**body, "scroll_id": following}
        case _:
            return {**body, "cursor": following}


def with_limits(detail: bytes, limits: Sequence[Mapping[str, Any]]) -> bytes:
    """A detail that also names these caps, behind those it names already."""
    if not limits:
        return detail
    body = orjson.loads(b"{" + detail[1:])
    body["limits"] = [*body.get("limits", ()), *limits]
    return b"," + orjson.dumps(body)[1:]


def figures(*, credits_used: float = 0.0, processed: int = 0, returned: int = 0) -> bytes:
    """The members of a history line that grow while it runs."""
    return orjson.dumps(
        {
            "credits_used": round(credits_used, 6),
            "total_processed": max(processed, returned),
            "total_returned": returned,
            "cache_hit_rate": 0.0,
        }
    )[1:-1]
