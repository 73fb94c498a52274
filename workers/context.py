"""What a running stage may use. Stages reach documents and time only through this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.documents import CollectionRef, DocumentStore


@dataclass(slots=True)
class StageContext:
    """One per stage run."""

    execution_id: str
    stage_index: int
    stage_name: str
    namespace_id: str
    inputs: Mapping[str, Any]
    collections: Sequence[CollectionRef]
    documents: DocumentStore
    warn: Callable[[str], None]
    # Raises when the execution must stop here: cancelled, out of time, lost, or its worker is stopping.
    # Stages with long loops call it every few documents.
    check: Callable[[], None]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def idempotency_token(self) -> str:
        """The same over all attempts: for effects outside Kennel."""
        return f"{self.execution_id}:{self.stage_index}"
