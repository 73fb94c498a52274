"""What a running stage may use. Stages reach documents and time only through this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.documents import CollectionRef, DocumentStore, as_several
from shared.models.document import Document

DocumentKey = tuple[str, str]  # (collection id, document id)
Vector = Sequence[float]


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
    # Feature URI of the last vector search before this stage.
    searched_feature: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def vectors(self, documents: Sequence[Document], feature: str) -> dict[DocumentKey, list[Vector]]:
        """The stored vectors of these documents for one feature (a URI or the name of a vector).

        Returns:
            (collection id, document id) -> the document's vectors, at least one; those without are left out.
        """
        name = feature.rpartition("/")[2]
        found: dict[DocumentKey, list[Vector]] = {}
        for ref in self.collections:
            wanted = [each.document_id for each in documents if each.collection_id == ref.collection_id]
            for document_id, by_name in self.documents.get_vectors(ref, wanted, [name]).items():
                found[ref.collection_id, document_id] = as_several(by_name[name])
        return found

    @property
    def idempotency_token(self) -> str:
        """The same over all attempts: for effects outside Kennel."""
        return f"{self.execution_id}:{self.stage_index}"
