"""Standalone namespaces and declared vectors over HTTP."""

from __future__ import annotations

import secrets
from typing import Any

import httpx
import pytest

from tests.integration.api.answers import ok, places, refused

CONFIGS = [{"name": "image", "dimension": 2, "metric": "euclidean"}, {"name": "text", "dimension": 3}]
SHOWN = [CONFIGS[0], {**CONFIGS[1], "metric": "cosine"}]


def unique() -> str:
    return f"alone-{secrets.token_hex(6)}"


def upsert(root: httpx.Client, namespace: str, **vectors: Any) -> httpx.Response:
    document = {"document_id": "d", "vectors": vectors, "payload": {"n": 1}}
    return root.post(f"/v1/namespaces/{namespace}/documents/upsert", json={"documents": [document]})


def test_a_standalone_namespace_shows_what_it_declares(root: httpx.Client) -> None:
    name = unique()
    created = ok(
        root.post("/v1/namespaces/standalone", json={"namespace_id": name, "vector_configs": CONFIGS})
    )
    assert created == {
        "namespace_id": name,
        "mode": "standalone",
        "status": "active",
        "vector_configs": SHOWN,
        "document_count": 0,
        "warnings": [],
    }
    found = ok(root.get(f"/v1/namespaces/{name}"))
    assert (found["namespace_name"], found["mode"], found["vector_configs"]) == (name, "standalone", SHOWN)
    refused(root.post("/v1/namespaces/standalone", json={"namespace_id": name}), 409)


def test_documents_go_to_the_hidden_collection_with_the_declared_vectors(root: httpx.Client) -> None:
    name = unique()
    ok(root.post("/v1/namespaces/standalone", json={"namespace_name": name, "vector_configs": CONFIGS}))
    assert ok(upsert(root, name, image=[1, 2], text=[1, 2, 3]))["inserted"] == 1
    stored = ok(root.get(f"/v1/namespaces/{name}/documents/d", params={"return_vectors": True}))
    assert (stored["n"], stored["image"], stored["text"]) == (1, [1.0, 2.0], [1.0, 2.0, 3.0])
    headers = {"X-Namespace": name}
    [hidden] = ok(root.get("/v1/collections", params={"include_system": True}, headers=headers))["results"]
    assert hidden["collection_name"] == "_direct_upsert"
    indexes = ok(root.get(f"/v1/collections/{hidden['collection_id']}", headers=headers))["vector_indexes"]
    assert [(each["name"], each["index"]["dimensions"], each["index"]["distance"]) for each in indexes] == [
        ("image", 2, "euclidean"),
        ("text", 3, "cosine"),
    ]


@pytest.mark.parametrize("vectors", [{"other": [1]}, {"image": [1, 2, 3]}, {"text": [[1, 2]]}])
def test_vectors_that_are_not_declared_are_422_and_name_those_that_are(
    root: httpx.Client, vectors: Any
) -> None:
    name = unique()
    ok(root.post("/v1/namespaces/standalone", json={"namespace_id": name, "vector_configs": CONFIGS}))
    error = refused(upsert(root, name, **vectors), 422, "there are image (2), text (3)")
    assert places(error) == [["documents", 0, "vectors", *vectors]]
    assert ok(root.get(f"/v1/namespaces/{name}"))["document_count"] == 0


def test_without_configurations_names_are_learnt(root: httpx.Client) -> None:
    name = unique()
    body = {"namespace_id": name, "vector_configs": [], "auto_create_indexes": True, "config": {}}
    assert ok(root.post("/v1/namespaces/standalone", json=body))["vector_configs"] is None
    ok(upsert(root, name, any=[1, 2]))
    refused(upsert(root, name, any=[1]), 422)


def test_a_managed_namespace_may_declare_vectors_too(root: httpx.Client) -> None:
    name = unique()
    created = ok(root.post("/v1/namespaces", json={"namespace_name": name, "vector_configs": CONFIGS}))
    assert (created["mode"], created["vector_configs"]) == ("managed", SHOWN)
    headers = {"X-Namespace": name}
    ok(root.post("/v1/collections", json={"collection_name": "pictures"}, headers=headers))
    path = "/v1/collections/pictures/documents"
    refused(root.post(path, json={"vectors": {"other": [1]}}, headers=headers), 422, "image (2)")
    ok(root.post(path, json={"vectors": {"image": [1, 2]}}, headers=headers))


def test_a_model_of_a_declared_name_is_refused(root: httpx.Client) -> None:
    name = unique()
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
    headers = {"X-Namespace": name}
    ok(root.post("/v1/namespaces", json={"namespace_name": name}))
    body = {"collection_name": "notes", "feature_extractor": extractor}
    [index] = ok(root.post("/v1/collections", json=body, headers=headers))["vector_indexes"]
    other = unique()
    configs = [{"name": index["name"], "dimension": 2}]
    ok(root.post("/v1/namespaces", json={"namespace_name": other, "vector_configs": configs}))
    response = root.post("/v1/collections", json=body, headers={"X-Namespace": other})
    assert places(refused(response, 422, index["name"])) == [["feature_extractor"]]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, []),
        ({"namespace_name": "with space"}, []),
        ({"namespace_id": "-x"}, ["namespace_id"]),
        ({"namespace_id": "x" * 129}, ["namespace_id"]),
        ({"namespace_id": "x", "namespace_name": "y" * 65}, ["namespace_name"]),
        ({"namespace_id": "x", "auto_create_indexes": False}, ["auto_create_indexes"]),
        ({"namespace_id": "x", "storage": {"bucket": "b"}}, ["storage"]),
        ({"namespace_id": "x", "vector_configs": [{"name": "a"}]}, ["vector_configs", 0, "dimension"]),
        (
            {"namespace_id": "x", "vector_configs": [{"name": "a", "dimension": 0}]},
            ["vector_configs", 0, "dimension"],
        ),
        (
            {"namespace_id": "x", "vector_configs": [{"name": "a", "dimension": "2"}]},
            ["vector_configs", 0, "dimension"],
        ),
        (
            {"namespace_id": "x", "vector_configs": [{"name": "_internal", "dimension": 2}]},
            ["vector_configs", 0, "name"],
        ),
        (
            {"namespace_id": "x", "vector_configs": [{"name": "m://e@v1/a", "dimension": 2}]},
            ["vector_configs", 0, "name"],
        ),
        ({"namespace_id": "x", "vector_configs": [{"name": "a", "dimension": 2}] * 2}, ["vector_configs"]),
        (
            {"namespace_id": "x", "vector_configs": [{"name": "a", "dimension": 2, "metric": "l1"}]},
            ["vector_configs", 0, "metric"],
        ),
    ],
)
def test_what_does_not_fit_is_422_at_its_place(root: httpx.Client, body: Any, place: list[Any]) -> None:
    assert places(refused(root.post("/v1/namespaces/standalone", json=body), 422)) == [place]


def test_a_long_id_gives_a_name_that_clients_can_read(root: httpx.Client) -> None:
    long = unique() + "x" * 100
    ok(root.post("/v1/namespaces/standalone", json={"namespace_id": long}))
    assert ok(root.get(f"/v1/namespaces/{long}"))["namespace_name"] == long[:64]
