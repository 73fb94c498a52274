"""PATCH and PUT of a document, batch and bulk changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.integration.api.answers import ok, places, refused

EMMA = "/v1/collections/books/documents/emma"
BATCH = "/v1/collections/books/documents/batch"
BULK = "/v1/collections/books/documents/bulk"


def _years(api: httpx.Client) -> dict[str, Any]:
    listed = ok(api.post("/v1/collections/books/documents/list"))["results"]
    return {each["document_id"]: each["year"] for each in listed}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("path", [EMMA, "/v1/documents/emma"])
def test_a_change_keeps_what_it_leaves_out(api: httpx.Client, books: str, method: str, path: str) -> None:
    body = {
        "title": "Emma, again",
        "metadata": {"a": 1, "b": 2},
        "source_type": "bucket",
        "content_hash": "h",
    }
    first = ok(api.request(method, path, json=body))
    assert (first["title"], first["year"], first["metadata"]) == ("Emma, again", 1815, {"a": 1, "b": 2})
    assert first["_internal"]["lineage"] == {"source_type": "bucket"}
    assert (first["_internal"]["content_hash"], "source_type" in first) == ("h", False)
    second = ok(api.request(method, path, json={"metadata": {"a": None, "c": 3}, "year": None}))
    assert (second["title"], second["year"], second["metadata"]) == ("Emma, again", None, {"b": 2, "c": 3})
    assert ok(api.get(EMMA)) == second


def test_concurrent_patches_all_count(api: httpx.Client, books: str) -> None:
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: api.patch(EMMA, json={"metadata": {f"k{n}": n}}), range(40)))
    assert [answer.status_code for answer in answers] == [200] * 40
    assert ok(api.get(EMMA))["metadata"] == {f"k{n}": n for n in range(40)}


def test_a_change_of_what_does_not_exist_is_404(api: httpx.Client, books: str) -> None:
    for path in ("/v1/collections/books/documents/nope", "/v1/documents/nope"):
        refused(api.patch(path, json={"a": 1}), 404, "nope")
    refused(api.patch("/v1/collections/nope/documents/emma", json={"a": 1}), 404, "nope")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"vectors": {"v": [1]}}, ["vectors"]),
        ({"document_id": "x"}, ["document_id"]),
        ({"_internal": {}}, ["_internal"]),
        ({"metadata": "text"}, ["metadata"]),
        ({"source_type": "moon"}, ["source_type"]),
        ({"content_hash": None}, ["content_hash"]),
        ({"features": []}, ["features"]),
    ],
)
def test_what_cannot_be_changed_is_422_at_its_place(
    api: httpx.Client, books: str, body: Any, place: list[str]
) -> None:
    assert places(refused(api.patch(EMMA, json=body), 422)) == [place]
    if list(body) != ["metadata"]:
        update = {"updates": [{"document_id": "emma", "update_data": body}]}
        wanted = ["updates", 0, "update_data", *place]
        assert places(refused(api.post(BATCH, json=update), 422)) == [wanted]


def test_a_key_with_a_dot_is_a_field_of_its_own_in_a_patch(api: httpx.Client, books: str) -> None:
    assert ok(api.patch(EMMA, json={"shelf.row": 9}))["shelf.row"] == 9
    assert ok(api.get(EMMA))["shelf"] == {"row": 1, "place": "A"}


def test_a_batch_changes_each_and_reports_each(api: httpx.Client, books: str) -> None:
    updates = [
        {"document_id": "emma", "update_data": {"shelf.row": 7, "title": "E"}},
        {"document_id": "nope", "update_data": {"a": 1}},
        {"document_id": "ulysses", "update_data": {"tags.x": 1}},
        {"document_id": "dune", "update_data": {"shelf": {"row": 3}}},
    ]
    answer = ok(api.post(BATCH, json={"updates": updates}))
    assert (answer["updated_count"], answer["failed_count"]) == (2, 2)
    assert [(each["document_id"], each["success"]) for each in answer["results"]] == [
        ("emma", True),
        ("nope", False),
        ("ulysses", False),
        ("dune", True),
    ]
    assert answer["results"][1]["error"] == "not found"
    assert "tags is a list" in answer["results"][2]["error"]
    emma, dune = ok(api.get(EMMA)), ok(api.get("/v1/documents/dune"))
    assert (emma["shelf"], emma["title"]) == ({"row": 7, "place": "A"}, "E")
    assert dune["shelf"] == {"row": 3}


def test_filters_change_all_that_pass(api: httpx.Client, books: str) -> None:
    old = {"AND": [{"field": "year", "operator": "lt", "value": 1950}]}
    answer = ok(api.post(BATCH, json={"filters": old, "update_data": {"year": 0}}))
    assert answer == {"updated_count": 2, "failed_count": 0, "results": [], "message": "2 documents updated"}
    assert _years(api) == {"emma": 0, "dune": 1965, "ulysses": 0}


def test_bulk_changes_all_or_those_that_pass_at_once(api: httpx.Client, books: str) -> None:
    answer = ok(api.patch(BULK, json={"update_data": {"year": 1}}))
    assert answer == {
        "task_id": None,
        "status": "COMPLETED",
        "updated_count": 3,
        "message": "3 documents updated",
    }
    some = {"filters": {"title": "Dune"}, "update_data": {"year": 2}}
    assert ok(api.patch(BULK, json=some))["updated_count"] == 1
    assert _years(api) == {"emma": 1, "dune": 2, "ulysses": 1}


def test_bulk_says_which_documents_refused(api: httpx.Client, books: str) -> None:
    answer = ok(api.patch(BULK, json={"update_data": {"tags.x": 1}}))
    assert answer["updated_count"] == 2
    assert answer["message"].startswith("2 documents updated, 1 not: ulysses: ")


def test_bulk_reaches_beyond_one_transaction(api: httpx.Client, books: str) -> None:
    path = f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert"
    for first in (0, 1000):
        documents = [{"document_id": f"n{n}", "payload": {"n": n}} for n in range(first, first + 1000)]
        ok(api.post(path, json={"collection_id": "books", "documents": documents}))
    numbered = {"field": "n", "operator": "exists", "value": True}
    assert ok(api.patch(BULK, json={"filters": numbered, "update_data": {"m": 1}}))["updated_count"] == 2000
    listed = ok(
        api.post("/v1/collections/books/documents/list", json={"filters": {"m": 1}, "include_total": True})
    )
    assert listed["pagination"]["total"] == 2000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"updates": []},
        {"updates": [{"document_id": "emma", "update_data": {}}]},
        {"updates": [{"document_id": "emma", "update_data": {"a": 1}}] * 2},
        {"updates": [{"document_id": "emma", "update_data": {"a": 1}}], "filters": {"a": 1}},
        {"updates": [{"document_id": "emma", "update_data": {"a": 1}}], "update_data": {"a": 1}},
        {"filters": {}, "update_data": {"a": 1}},
        {"filters": {"AND": []}, "update_data": {"a": 1}},
        {"filters": {"a": 1}},
        {"filters": {"a": 1}, "update_data": {"a..b": 1}},
        {"filters": {"a": 1}, "update_data": {"vectors.v": 1}},
        {"filters": {"a": 1}, "update_data": {"_internal.metadata": 1}},
    ],
)
def test_a_batch_that_is_not_clear_is_422(api: httpx.Client, books: str, body: Any) -> None:
    refused(api.post(BATCH, json=body), 422)
    assert "a" not in ok(api.get(EMMA))
