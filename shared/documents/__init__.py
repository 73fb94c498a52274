"""Documents and the engines that hold them."""

from __future__ import annotations

from shared.documents.cursor import cursor_of
from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.store import (
    Backlog,
    CollectionRef,
    CollectionShape,
    DocumentStore,
    DocumentWrite,
    Hits,
    Ingested,
    PendingText,
    TextEmbedding,
    VectorConfig,
    VectorIndex,
    Written,
)
from shared.documents.stored import as_several
from shared.settings import Settings

__all__ = [
    "Backlog",
    "CollectionRef",
    "CollectionShape",
    "DocumentStore",
    "DocumentWrite",
    "Hits",
    "Ingested",
    "PendingText",
    "TextEmbedding",
    "VectorConfig",
    "VectorIndex",
    "Written",
    "as_several",
    "cursor_of",
    "open_document_store",
]


def open_document_store(settings: Settings) -> DocumentStore:
    """The engine that the settings name. Opens nothing yet; files are opened on first use, per thread."""
    return SqliteDocumentStore(
        settings.data_dir / "documents", vector_cache_bytes=settings.vector_cache_bytes
    )
