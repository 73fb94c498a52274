"""A document store with one collection, for everything that runs stages."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.documents import DocumentStore
from shared.documents.sqlite.store import SqliteDocumentStore
from tests.unit.workers.pipelines import fill


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> DocumentStore:
    """`col_books` holds doc_00 … doc_11; a test may fill collections of its own."""
    directory: Path = tmp_path_factory.mktemp("documents")
    store = SqliteDocumentStore(directory)
    books = {f"doc_{n:02}": {"text": f"book {n} about trains", "year": 2000 + n % 4} for n in range(12)}
    fill(store, "col_books", books)
    return store
