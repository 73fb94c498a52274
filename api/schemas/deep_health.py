"""The answer of the deep health check."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Services(BaseModel):
    """The contract's names for what Kennel needs."""

    cache: bool  # Redis
    metadata: bool  # Redis
    vector_store: bool  # the document engine
    object_storage: bool  # the data directory
    task_queue: bool  # workers
    inference: bool  # what embeds: workers, and the embeddings endpoint where one is configured
    analytics: None = None  # there is none


class DeepHealth(BaseModel):
    status: Literal["OK", "DEGRADED"]
    data: Services
    errors: dict[str, str] | None  # service -> why it does not work
    meta: dict[str, Any]
