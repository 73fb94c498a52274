"""What is answered about a task: an execution, by its record or its line of the history, or a deletion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api.schemas.tasks import Task, TaskStatus, TaskType
from shared.models.execution import Status
from shared.stores.executions import StoredExecution

STATUSES: Mapping[str, TaskStatus] = {
    Status.PENDING: TaskStatus.PENDING,
    Status.PROCESSING: TaskStatus.PROCESSING,
    Status.COMPLETED: TaskStatus.COMPLETED,
    Status.DEGRADED: TaskStatus.COMPLETED_WITH_ERRORS,
    Status.FAILED: TaskStatus.FAILED,
    Status.CANCELLED: TaskStatus.CANCELED,
}
_HAS_RESULT = (TaskStatus.COMPLETED, TaskStatus.COMPLETED_WITH_ERRORS)
_OF_THE_STATE = (
    "created_at",
    "started_at",
    "completed_at",
    "expires_at",
    "retriever_name",
    "current_stage",
    "stages_completed",
    "total_stages",
    "attempt",
)


def of_record(stored: StoredExecution) -> Task:
    answer: dict[str, Any] = orjson.loads(stored.head + stored.state + stored.detail)
    about = {name: answer[name] for name in _OF_THE_STATE}
    about |= {"stage_statistics": answer["stage_statistics"], "total_returned": answer["total_returned"]}
    return _task(
        stored.execution_id,
        stored.retriever_id,
        stored.namespace_id,
        stored.status,
        about,
        error=answer["error"],
        queue_position=stored.queue_position,
    )


def of_line(owners: Mapping[str, str], line: bytes) -> Task:
    summary: dict[str, Any] = orjson.loads(line)
    execution_id, retriever_id = summary.pop("execution_id"), summary.pop("retriever_id")
    owner = summary["alert"]["alert_id"] if "alert" in summary else retriever_id
    return _task(execution_id, retriever_id, owners[owner], summary.pop("status"), summary)


def _task(
    execution_id: str,
    retriever_id: str,
    namespace_id: str,
    status: str,
    about: Mapping[str, Any],
    *,
    error: str | None = None,
    queue_position: int | None = None,
) -> Task:
    name = STATUSES[status]
    whose = {"namespace_id": namespace_id, "retriever_id": retriever_id, "execution_id": execution_id}
    failure = {"error": error} if error else {}
    return Task(
        task_id=execution_id,
        task_type=TaskType.EXECUTION,
        status=name,
        inputs=[retriever_id],
        outputs=[execution_id] if name in _HAS_RESULT else None,
        additional_data=whose | dict(about) | failure,
        error=error,
        queue_position=queue_position,
    )


def of_deletion(task_id: str, namespace_id: str, is_done: bool) -> Task:
    return Task(
        task_id=task_id,
        task_type=TaskType.NAMESPACE_DELETION,
        status=TaskStatus.COMPLETED if is_done else TaskStatus.PROCESSING,
        inputs=[namespace_id],
        outputs=None,
        additional_data={"namespace_id": namespace_id},
    )
