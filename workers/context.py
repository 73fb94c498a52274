"""What a running stage may use. Stages reach documents, embeddings and time only through this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.documents import CollectionRef, DocumentStore, as_several
from shared.documents.features import index_name
from shared.models.document import Document

DocumentKey = tuple[str, str]  # (collection id, document id)
Vector = Sequence[float]


class Embeddings(Protocol):
    """The vectors of texts."""

    def embed_query(self, model: str, text: str, task: str) -> Vector | None:
        """The vector of a query, of unit length; None when no word of it says anything to the model.

        Raises:
            KennelError: the model is unknown or away.
        """

    def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
        """Return when the vectors of a collection are as fresh as the execution asked for.

        Raises:
            StageError: they cannot become so. Whatever `check` raises.
        """


@dataclass(slots=True)
class StageContext:
    """One per stage run."""

    execution_id: str
    attempt: int  # from 1; the workers of the earlier ones were lost
    stage_index: int
    stage_name: str
    namespace_id: str
    inputs: Mapping[str, Any]
    collections: Sequence[CollectionRef]
    documents: DocumentStore
    embeddings: Embeddings
    # Names and ids of collections -> ids. Raises StageError for one that does not exist.
    resolve_collections: Callable[[Sequence[str]], Sequence[str]]
    warn: Callable[[str], None]
    # Raises when the execution must stop here: cancelled, out of time, lost, or its worker is stopping.
    # Stages with long loops call it every few documents.
    check: Callable[[], None]
    # Feature URI of the last vector search before this stage.
    searched_feature: str | None = None

    def embed(self, model: str, text: str, task: str) -> list[Vector]:
        """The vector of a query text as a list of one; empty when no word of it says anything."""
        vector = self.embeddings.embed_query(model, text, task)
        return [] if vector is None else [vector]

    def await_embeddings(self, ref: CollectionRef) -> None:
        """Before a search among vectors: as fresh as the execution asked for. Raises StageError."""
        self.embeddings.wait_for(ref, self.check)

    def collections_named(self, identifiers: Sequence[str] | None) -> list[CollectionRef] | None:
        """The collections of these ids or names, each once; None for None. Raises StageError."""
        if identifiers is None:
            return None
        ids = dict.fromkeys(self.resolve_collections(identifiers))
        return [CollectionRef(self.namespace_id, each) for each in ids]

    def collection_named(self, identifier: str) -> CollectionRef:
        """Raises StageError when there is no such collection."""
        return CollectionRef(self.namespace_id, self.resolve_collections([identifier])[0])

    def vectors(self, documents: Sequence[Document], feature: str) -> dict[DocumentKey, list[Vector]]:
        """The stored vectors of these documents for one feature (a URI or the name of a vector).

        Returns:
            (collection id, document id) -> the document's vectors, at least one; those without are left out.
        """
        found: dict[DocumentKey, list[Vector]] = {}
        for collection_id in dict.fromkeys(document.collection_id for document in documents):
            ref = CollectionRef(self.namespace_id, collection_id)
            name = index_name(self.documents.shape(ref), feature)
            if name is None:
                continue
            wanted = [each.document_id for each in documents if each.collection_id == collection_id]
            for document_id, by_name in self.documents.get_vectors(ref, wanted, [name]).items():
                found[collection_id, document_id] = list(as_several(by_name[name]))
        return found

    @property
    def idempotency_token(self) -> str:
        """The same over all attempts: for effects outside Kennel."""
        return f"{self.execution_id}:{self.stage_index}"
