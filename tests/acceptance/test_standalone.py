"""Vectors of one's own, from the field's high-level client: declared, written, searched in one call each."""

from __future__ import annotations

import secrets
from typing import Any

import mixpeek
import pytest
from mixpeek._client.client import MixpeekAPIError

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.stack import Stack

CONFIGS = [
    {"name": "plane", "dimension": 2, "metric": "euclidean"},
    {"name": "weight", "dimension": 2, "metric": "dot_product"},
    {"name": "angle", "dimension": 2},
]
POINTS = {"origin": [0.0, 0.0], "east": [3.0, 0.0], "north": [0.0, 4.0], "far": [30.0, 40.0]}


@pytest.fixture(scope="module")
def client(service: Stack) -> Any:
    """That client never polls: its key waits for the end of each execution."""
    with connect(service.redis_url) as redis:
        key, _ = create_key(redis, f"waiting {secrets.token_hex(6)}", default_wait_s=20)
    return mixpeek.Mixpeek(key, base_url=f"{service.base_url}/v1")


@pytest.fixture(scope="module")
def space(client: Any) -> str:
    """Id of a standalone namespace that holds POINTS under each metric."""
    name = f"points-{secrets.token_hex(6)}"
    created = client.namespaces.create(name=name, vector_configs=CONFIGS)
    assert (created["namespace_id"], created["mode"]) == (name, "standalone")
    documents = [
        {
            "document_id": document_id,
            "vectors": {str(config["name"]): point for config in CONFIGS},
            "payload": {"is_near": max(point) < 10},
        }
        for document_id, point in POINTS.items()
    ]
    assert client.namespaces.documents.upsert(namespace_id=name, documents=documents)["inserted"] == 4
    return name


def scores(result: dict[str, Any]) -> dict[str, float]:
    assert result["status"] == "completed", result
    return {each["document_id"]: each["score"] for each in result["documents"]}


@pytest.mark.parametrize(
    ("vector", "query", "expected"),
    [
        ("plane", [0.0, 1.0], {"origin": 0.5, "north": 0.25, "east": 0.240253}),
        ("weight", [1.0, 0.5], {"far": 50.0, "east": 3.0, "north": 2.0}),
        ("angle", [1.0, 0.0], {"east": 1.0, "far": 0.6, "north": 0.0}),
    ],
)
def test_one_call_searches_by_the_declared_metric(
    client: Any, space: str, vector: str, query: list[float], expected: dict[str, float]
) -> None:
    result = client.search(namespace_id=space, queries=[{"vector_name": vector, "vector": query, "top_k": 3}])
    assert list(scores(result).items()) == list(expected.items())


def test_a_search_takes_filters_and_leaves_no_retriever_behind(client: Any, space: str) -> None:
    near = {"AND": [{"field": "is_near", "operator": "eq", "value": True}]}
    queries = [{"feature_uri": "weight", "query": {"input_mode": "vector", "value": [1.0, 1.0]}}]
    result = client.search(namespace_id=space, queries=queries, filters=near)
    assert list(scores(result).items()) == [("north", 4.0), ("east", 3.0), ("origin", 0.0)]
    assert client._request("GET", "/retrievers", namespace=space)["results"] == []


@pytest.mark.parametrize(("vector", "words"), [("other", "other"), ("plane", "3 dimensions")])
def test_a_search_among_vectors_that_are_not_there_fails_and_says_why(
    client: Any, space: str, vector: str, words: str
) -> None:
    result = client.search(namespace_id=space, queries=[{"vector_name": vector, "vector": [1.0, 2.0, 3.0]}])
    assert result["status"] == "failed"
    assert words in result["error"]


def test_an_undeclared_vector_is_refused(client: Any, space: str) -> None:
    document = {"document_id": "x", "vectors": {"other": [1.0]}}
    with pytest.raises(MixpeekAPIError, match=r"angle \(2\), plane \(2\), weight \(2\)") as refusal:
        client.namespaces.documents.upsert(namespace_id=space, documents=[document])
    assert refusal.value.status == 422
