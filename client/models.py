"""Answers of the server as frozen values. Each keeps the JSON it was made of in `raw`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from client.errors import ExecutionFailed, KennelError
from shared.models.execution import TERMINAL, Status

_WITH_RESULT = frozenset((Status.COMPLETED, Status.DEGRADED))


@dataclass(frozen=True, slots=True)
class StageProgress:
    """What one stage that has ended did."""

    name: str
    input_count: int
    output_count: int
    duration_ms: float
    error: str | None  # why it was skipped or failed


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution at one moment."""

    execution_id: str
    retriever_id: str
    status: Status
    revision: int
    attempt: int  # how many times a worker has started it
    current_stage: str | None
    stages_completed: int
    total_stages: int
    stages: Sequence[StageProgress]  # those that have ended, in their order
    wait_reason: str | None  # why it is pending: queued, namespace_turn, no_worker_online, retry_backoff
    error: str | None
    warnings: Sequence[str]
    documents: Sequence[Mapping[str, Any]] = field(repr=False)  # one page of the result
    pagination: Mapping[str, Any] = field(repr=False)
    etag: str = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any], etag: str) -> Execution:
        return cls(
            execution_id=answer["execution_id"],
            retriever_id=answer["retriever_id"],
            status=Status(answer["status"]),
            revision=answer["revision"],
            attempt=answer["attempt"],
            current_stage=answer["current_stage"],
            stages_completed=answer["stages_completed"],
            total_stages=answer["total_stages"],
            stages=[_stage(*entry) for entry in answer["stage_statistics"]["stages"].items()],
            wait_reason=answer.get("wait_reason"),
            error=answer["error"],
            warnings=answer["warnings"],
            documents=answer["documents"],
            pagination=answer["pagination"],
            etag=etag,
            raw=answer,
        )

    @property
    def is_terminal(self) -> bool:
        """It has ended and will not change any more."""
        return self.status in TERMINAL

    @property
    def has_result(self) -> bool:
        """It ended well; `degraded` means that a stage was skipped."""
        return self.status in _WITH_RESULT

    def checked(self) -> Execution:
        """Itself.

        Raises:
            ExecutionFailed: it failed or was cancelled.
        """
        if self.is_terminal and not self.has_result:
            raise ExecutionFailed(self)
        return self


def _stage(name: str, entry: Mapping[str, Any]) -> StageProgress:
    return StageProgress(
        name, entry["input_count"], entry["output_count"], entry["duration_ms"], entry.get("error")
    )


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One line of a retriever's history."""

    execution_id: str
    status: Status
    created_at: str
    completed_at: str | None
    duration_ms: float  # run time over all attempts
    total_returned: int
    query_summary: str | None
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ExecutionSummary:
        return cls(
            execution_id=answer["execution_id"],
            status=Status(answer["status"]),
            created_at=answer["created_at"],
            completed_at=answer["completed_at"],
            duration_ms=answer["duration_ms"],
            total_returned=answer["total_returned"],
            query_summary=answer["query_summary"],
            raw=answer,
        )


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What a cancel came to."""

    execution_id: str
    status: Status
    outcome: str  # removed_from_queue, stopping or already_terminal
    stops_after: str | None  # stopping: the stage that it still finishes
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Cancellation:
        status = Status(answer["status"])
        return cls(answer["execution_id"], status, answer["outcome"], answer.get("stops_after"), answer)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of `Kennel.map`: an execution with a result, or an error."""

    index: int  # of the item, from 0
    inputs: Mapping[str, Any]
    execution: Execution | None  # None when it was refused or its end is not known
    error: KennelError | None


@dataclass(frozen=True, slots=True)
class Resource:
    """A retriever or a collection."""

    resource_id: str
    name: str
    description: str | None
    created_at: str
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Upserted:
    """A batch of documents that is on disk."""

    document_ids: Sequence[str]
    write_token: str | None  # an execution given it sees this write
    warnings: Sequence[str]
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Upserted:
        return cls(answer["document_ids"], answer.get("write_token"), answer["warnings"], answer)
