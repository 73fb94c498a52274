"""Documents and the engines that hold them."""

from __future__ import annotations

from shared.documents.sqlite.store import SqliteDocumentStore
from shared.documents.store import DocumentStore
from shared.settings import Settings


def open_document_store(settings: Settings) -> DocumentStore:
    """The engine that the settings name. Opens nothing yet; files are opened on first use, per thread."""
    return SqliteDocumentStore(settings.data_dir / "documents")
