from __future__ import annotations

from pathlib import Path

import pytest

from shared.documents import CollectionRef, DocumentStore
from shared.documents.sqlite.store import SqliteDocumentStore

REF = CollectionRef("ns_test", "col_test")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "documents"


@pytest.fixture
def store(directory: Path) -> DocumentStore:
    """A store with one empty collection, REF."""
    store = SqliteDocumentStore(directory)
    store.create_collection(REF)
    return store


@pytest.fixture
def ref() -> CollectionRef:
    return REF


@pytest.fixture
def other_store(directory: Path) -> DocumentStore:
    """Other connections to the same files, as another process has them."""
    return SqliteDocumentStore(directory)
