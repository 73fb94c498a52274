"""Lists over several collections, groups, search, partitions and references."""

from __future__ import annotations

from itertools import chain
from typing import Any

import httpx
import pytest

from tests.integration.api.answers import ok, places, refused

LIST = "/v1/documents/list"
BOOKS = "/v1/collections/books/documents"
FILMS = [
    {"document_id": "dune", "payload": {"title": "Dune, the film", "year": 2021, "book": "emma"}},
    {"document_id": "alien", "payload": {"title": "Alien", "year": 1979, "book": ["nope", "emma", 5]}},
]


@pytest.fixture
def films(api: httpx.Client, books: str) -> str:
    """Id of a second collection, which shares the id `dune` with the first."""
    collection_id: str = ok(api.post("/v1/collections", json={"collection_name": "films"}))["collection_id"]
    body = {"collection_id": "films", "documents": FILMS}
    ok(api.post(f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert", json=body))
    return collection_id


def ids(documents: list[dict[str, Any]]) -> list[str]:
    return [each["document_id"] for each in documents]


def listed(api: httpx.Client, **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(api.post(LIST, json=body))
    return answer


def test_all_collections_have_one_order(api: httpx.Client, films: str) -> None:
    answer = ok(api.post(LIST))
    assert ids(answer["results"]) == ["alien", "dune", "dune", "emma", "ulysses"]
    assert answer["unknown_collection_ids"] is None
    newest = listed(api, sort={"field": "year", "direction": "desc"}, include_total=True)
    assert [each["year"] for each in newest["results"]] == [2021, 1979, 1965, 1922, 1815]
    assert (newest["pagination"]["total"], newest["stats"]["total_documents"]) == (5, 5)


def test_a_cursor_goes_through_all_collections_while_others_write(api: httpx.Client, films: str) -> None:
    path = f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert"
    seen: list[tuple[str, str]] = []
    cursor = None
    for n in range(10):
        answer = listed(api, limit=1, cursor=cursor)
        seen += [(each["document_id"], each["collection_id"]) for each in answer["results"]]
        cursor = answer["pagination"]["next_cursor"]
        if cursor is None:
            break
        ok(api.post(path, json={"collection_id": "films", "documents": [{"document_id": f"-{n}"}]}))
    assert [document_id for document_id, _ in seen] == ["alien", "dune", "dune", "emma", "ulysses"]
    assert len(set(seen)) == 5


@pytest.mark.parametrize("name", ["collection_ids", "collection_id", "collections"])
def test_collections_are_named_and_unknown_ones_told(api: httpx.Client, films: str, name: str) -> None:
    answer = listed(api, **{name: ["nope", "films", films]})
    assert (ids(answer["results"]), answer["unknown_collection_ids"]) == (["alien", "dune"], ["nope"])
    assert answer["warnings"] == []
    assert ids(listed(api, **{name: "films"})["results"]) == ["alien", "dune"]
    refused(api.post(LIST, json={name: ["nope", "neither"]}), 404, "'nope', 'neither'")
    refused(api.post(LIST, json={name: []}), 422)
    assert len(ok(api.post(LIST, json={name: None}))["results"]) == 5


def test_a_cursor_belongs_to_its_collections(api: httpx.Client, films: str) -> None:
    cursor = listed(api, limit=1)["pagination"]["next_cursor"]
    body = {"cursor": cursor, "collection_ids": ["films"]}
    assert refused(api.post(LIST, json=body), 400)["code"] == "bad_cursor"


def test_a_namespace_without_collections_has_no_documents(api: httpx.Client) -> None:
    assert ok(api.post(LIST))["results"] == []
    assert listed(api, group_by="a")["groups"] == []


def test_search_finds_parts_of_ids_and_texts(api: httpx.Client, films: str) -> None:
    assert ids(listed(api, search="DUNE")["results"]) == ["dune", "dune"]
    assert ids(listed(api, search="the*film")["results"]) == ["dune"]
    assert ids(ok(api.post(f"{BOOKS}/list", json={"search": "lon"}))["results"]) == ["ulysses"]
    assert ids(ok(api.get(BOOKS, params={"search": "em?a"}))["results"]) == ["emma"]
    assert places(refused(api.post(LIST, json={"search": "x" * 201}), 422)) == [["search"]]


def test_groups_have_counts_and_pages(api: httpx.Client, films: str) -> None:
    body: dict[str, Any] = {"group_by": {"field": "shelf.row"}, "limit": 2, "include_total": True}
    first = listed(api, **body)
    assert [(each["group_key"], each["count"], ids(each["documents"])) for each in first["groups"]] == [
        (1, 1, ["emma"]),
        (2, 1, ["dune"]),
    ]
    assert ("results" in first, first["group_by_field"]) == (False, "shelf.row")
    assert (first["pagination"]["total"], first["total_documents"]) == (3, 5)
    assert first["stats"] == {
        "total_documents": 5,
        "avg_blobs_per_document": 0.0,
        "total_groups": 3,
        "avg_documents_per_group": 5 / 3,
    }
    [rest] = listed(api, **body, cursor=first["pagination"]["next_cursor"])["groups"]
    assert (rest["group_key"], rest["count"]) == (None, 3)
    assert ids(rest["documents"]) == ["alien", "dune", "ulysses"]
    assert listed(api, **body, offset=2)["groups"][0]["group_key"] is None


def test_a_group_that_is_cut_is_told(api: httpx.Client, films: str) -> None:
    answer = listed(api, group_by="nothing", limit=1000, select=["title"])
    [group] = answer["groups"]
    assert (group["count"], len(group["documents"])) == (5, 1)
    assert answer["warnings"] == [
        "groups hold their first 1 documents; `count` counts all, a filter finds them"
    ]
    assert set(group["documents"][0]) == {"document_id", "collection_id", "title", "searchable_at"}


def test_partitions_split_the_documents(api: httpx.Client, films: str) -> None:
    parts: list[list[str]] = []
    for index in range(3):
        part: list[str] = []
        body: dict[str, Any] = {"limit": 1, "partition": {"index": index, "count": 3}}
        for _ in range(6):
            answer = listed(api, **body)
            part += ids(answer["results"])
            if answer["pagination"]["next_cursor"] is None:
                break
            body = {"limit": 1, "cursor": answer["pagination"]["next_cursor"]}  # it stays in its part
        parts.append(part)
    assert sorted(chain(*parts)) == ["alien", "dune", "dune", "emma", "ulysses"]
    of_books = [
        ids(ok(api.get(BOOKS, params={"partition": f'{{"index": {n}, "count": 3}}'}))["results"])
        for n in range(3)
    ]
    assert sorted(chain(*of_books)) == ["dune", "emma", "ulysses"]
    assert all(set(few) <= set(part) for few, part in zip(of_books, parts, strict=True))


def test_a_partition_that_is_none_or_not_the_cursors_is_refused(api: httpx.Client, films: str) -> None:
    for bad in ({"index": 2, "count": 2}, {"index": -1, "count": 2}, {"index": 0, "count": 257}):
        refused(api.post(LIST, json={"partition": bad}), 422)
    cursor = listed(api, limit=1)["pagination"]["next_cursor"]
    other = {"cursor": cursor, "partition": {"index": 0, "count": 2}}
    assert refused(api.post(LIST, json=other), 400)["code"] == "bad_cursor"


def test_references_are_expanded_one_level(api: httpx.Client, films: str) -> None:
    alien, dune = listed(api, collection_ids=["films"], expand=["book", "title"])["results"]
    assert [each["title"] for each in alien["_expanded"]["book"]] == ["Emma"]
    assert (list(dune["_expanded"]), dune["_expanded"]["book"]["title"]) == (["book"], "Emma")
    path = "/v1/collections/films/documents"
    query = {"expand": "book"}
    assert ok(api.get(f"{path}/alien", params=query))["_expanded"] == alien["_expanded"]
    assert ok(api.get("/v1/documents/alien", params=query))["_expanded"] == alien["_expanded"]
    assert ok(api.get(path, params=query))["results"][0]["_expanded"] == alien["_expanded"]
    error = refused(api.get(f"{path}/alien", params={"expand": "a..b"}), 422)
    assert places(error) == [["query", "expand"]]


def test_over_fifty_references_are_cut_and_told(api: httpx.Client, films: str) -> None:
    ok(api.patch("/v1/documents/alien", json={"book": [f"no{n}" for n in range(50)] + ["dune"]}))
    answer = listed(api, collection_ids=["films"], expand=["book"])
    assert answer["results"][0]["_expanded"] == {"book": []}
    assert answer["warnings"] == ["expand: only the first 50 of 52 documents referred to are shown"]


def test_the_query_of_a_post_fills_what_its_body_leaves_out(api: httpx.Client, films: str) -> None:
    query = {"filters": '{"year": 1815}', "select": "title", "return_vectors": True}
    assert ids(ok(api.post(f"{BOOKS}/list", params=query))["results"]) == ["emma"]
    body = {"filters": {"year": 1965}}
    assert ids(ok(api.post(f"{BOOKS}/list", params=query, json=body))["results"]) == ["dune"]
    groups = ok(api.get(BOOKS, params={"group_by": "year", "limit": 1}))["groups"]
    assert groups[0]["group_key"] == 1815


@pytest.mark.parametrize(
    ("name", "bad"),
    [("group_by", "a..b"), ("partition", "{"), ("partition", '{"index": 0}'), ("expand", ",")],
)
def test_a_malformed_query_is_422_at_its_place(api: httpx.Client, books: str, name: str, bad: str) -> None:
    [place, *_] = places(refused(api.get(BOOKS, params={name: bad}), 422))
    assert place[:2] == ["query", name]


def test_a_batch_answers_each_question(api: httpx.Client, films: str) -> None:
    queries = [
        {"key": "b", "request": {"collection_ids": ["books"], "limit": 1}},
        {"key": "none", "request": {"collection_ids": ["nope"]}},
        {"key": "bad", "request": {"filters": {"AND": 1}}},
        {"key": "g", "request": {"group_by": "year", "limit": 1}},
    ]
    results = ok(api.post("/v1/documents/list/batch", json={"queries": queries}))["results"]
    assert [each["key"] for each in results] == ["b", "none", "bad", "g"]
    assert (ids(results[0]["response"]["results"]), results[0]["error"]) == (["dune"], None)
    assert results[1]["response"] is None
    assert "nope" in results[1]["error"]
    assert "filters.AND" in results[2]["error"]
    assert results[3]["response"]["groups"][0]["group_key"] == 1815


@pytest.mark.parametrize(
    "queries",
    [[], [{"key": "", "request": {}}], [{"key": "k"}], [{"key": str(n), "request": {}} for n in range(11)]],
)
def test_a_malformed_batch_is_422(api: httpx.Client, queries: Any) -> None:
    refused(api.post("/v1/documents/list/batch", json={"queries": queries}), 422)
