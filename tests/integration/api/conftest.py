"""A collection with a few documents."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.api.answers import ok

BOOKS = [
    {"document_id": "emma", "payload": {"title": "Emma", "year": 1815, "shelf": {"row": 1, "place": "A"}}},
    {"document_id": "dune", "payload": {"title": "Dune", "year": 1965, "shelf": {"row": 2, "place": "B"}}},
    {"document_id": "ulysses", "payload": {"title": "Ulysses", "year": 1922, "tags": ["long"]}},
]


@pytest.fixture
def books(api: httpx.Client) -> str:
    """Id of a collection named `books` that holds BOOKS."""
    created = ok(api.post("/v1/collections", json={"collection_name": "books"}))
    collection_id: str = created["collection_id"]
    body = {"collection_id": collection_id, "documents": BOOKS}
    assert (
        ok(api.post(f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert", json=body))["inserted"]
        == 3
    )
    return collection_id
