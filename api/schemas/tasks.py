"""Tasks, as the contract names them: executions of any retriever, and deletions of namespaces."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from api.schemas.common import ListBody, Pagination


class TaskStatus(StrEnum):
    """Those of the contract that a task here can have."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class TaskType(StrEnum):
    EXECUTION = "api_retrievers_execute"
    NAMESPACE_DELETION = "api_namespaces_delete"


class Task(BaseModel):
    """Something that runs in the background. Every field is always there."""

    task_id: str = Field(description="Of an execution, its id.")
    task_type: TaskType
    status: TaskStatus
    inputs: list[str | dict[str, Any]] = Field(description="Id of the retriever or namespace.")
    outputs: list[str | dict[str, Any]] | None = Field(description="Id of the execution that has a result.")
    additional_data: dict[str, Any] = Field(description="Of an execution, its line of the history.")
    error: str | None = None
    queue_position: int | None = Field(None, description="1 = the next to be taken; null in lists.")
    estimated_wait_minutes: float | None = None


class TaskListBody(ListBody):
    """POST /v1/tasks/list; may be empty."""

    status: str | None = Field(None, description="One of the statuses of a task, in capitals.")
    task_type: str | None = Field(None, description="api_retrievers_execute, the only type that is listed.")


class TaskList(BaseModel):
    results: list[Task]
    pagination: Pagination
    warnings: list[str] = []
