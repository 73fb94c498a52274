"""The books, as they are answered."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Found(BaseModel):
    """What is really there, at the moment the books were read."""

    pending: int = Field(ge=0, description="Executions that wait in a queue.")
    processing: int = Field(ge=0, description="Executions that are leased to a worker.")


class Stats(BaseModel):
    """Every execution ever submitted, counted where it is now by the calls that moved it there."""

    namespace_id: str | None = Field(description="Whose books these are; null: the installation's.")
    submitted: int = Field(description="Always the sum of the next six.")
    pending: int
    processing: int
    completed: int
    degraded: int
    failed: int
    cancelled: int
    attempts: int = Field(ge=0, description="Starts by a worker.")
    requeued: int = Field(
        ge=0, description="Put back after they had started: their worker was lost or stopped."
    )
    found: Found | None = Field(description="Beside the installation's books; null for a namespace.")
    balanced: bool = Field(
        description="`pending` and `processing` are what was found; for a namespace: no count is below zero. "
        "If it is false, run `kennel doctor`."
    )
    queues: dict[str, int] = Field(description="Executions of all namespaces in each queue.")
