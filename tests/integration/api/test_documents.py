"""Documents: stored, read back as bytes, listed page by page, deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from shared.settings import Settings
from tests.integration.api.answers import ok, places, refused


def _upsert(
    api: httpx.Client, collection: str | None, *documents: dict[str, Any], **over: Any
) -> httpx.Response:
    body: dict[str, Any] = {"documents": list(documents), **over}
    if collection is not None:
        body["collection_id"] = collection
    return api.post(f"/v1/namespaces/{api.headers['X-Namespace']}/documents/upsert", json=body)


def _list(api: httpx.Client, **body: Any) -> dict[str, Any]:
    listed: dict[str, Any] = ok(api.post("/v1/collections/books/documents/list", json=body))
    return listed


def _ids(listed: dict[str, Any]) -> list[str]:
    return [each["document_id"] for each in listed["results"]]


def test_a_created_document_is_flat_and_reads_back_alike(api: httpx.Client, books: str) -> None:
    body = {
        "title": "Ivanhoe",
        "metadata": {"a": [1, None, True]},
        "content_hash": "abc",
        "root_object_id": "obj_1",
    }
    created = ok(api.post("/v1/collections/books/documents", json=body))
    assert created["document_id"].startswith("doc_")
    assert (created["collection_id"], created["title"]) == (books, "Ivanhoe")
    assert created["metadata"] == body["metadata"]
    internal = created["_internal"]
    assert internal["lineage"] == {"source_type": "direct_upsert", "root_object_id": "obj_1"}
    assert internal["content_hash"] == "abc"
    assert internal["created_at"] == internal["updated_at"]
    for path in (
        f"/v1/collections/books/documents/{created['document_id']}",
        f"/v1/namespaces/{api.headers['X-Namespace']}/documents/{created['document_id']}",
        f"/v1/documents/{created['document_id']}",
    ):
        assert ok(api.get(path)) == created


def test_upsert_replaces_and_answers_in_order(api: httpx.Client, books: str) -> None:
    before = ok(api.get("/v1/collections/books/documents/emma"))
    answer = ok(
        _upsert(
            api,
            "books",
            {"document_id": "new", "payload": {"title": "N"}, "metadata": {"by": "x"}},
            {"document_id": "emma", "payload": {"title": "Emma again"}},
        )
    )
    assert (answer["inserted"], answer["document_ids"]) == (2, ["new", "emma"])
    after = ok(api.get("/v1/collections/books/documents/emma"))
    assert after["title"] == "Emma again"
    assert "year" not in after
    assert after["_internal"]["created_at"] == before["_internal"]["created_at"]
    assert after["_internal"]["updated_at"] >= before["_internal"]["updated_at"]
    assert ok(api.get("/v1/collections/books/documents/new"))["_internal"]["metadata"] == {"by": "x"}


def test_a_batch_is_stored_whole_or_not_at_all(api: httpx.Client, books: str) -> None:
    response = _upsert(api, "books", {"document_id": "good"}, {"document_id": " bad id"})
    assert places(refused(response, 422, " bad id")) == [["documents", 1, "document_id"]]
    assert ok(api.get("/v1/collections/books/documents/count"))["count"] == 3


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"payload": {}}, ["documents", 0, "document_id"]),
        ({"document_id": "x", "payload": {"_internal": {}}}, ["documents", 0, "_internal"]),
        ({"document_id": "x", "payload": []}, ["documents", 0, "payload"]),
        ({"document_id": "x", "vectors": {"v": [1e300]}}, ["documents", 0, "vectors", "v"]),
        ({"document_id": "x", "vectors": {"v": [1, "a"]}}, ["documents", 0, "vectors", "v", 1]),
        ({"document_id": "x", "vectors": {"v": [[1], ["a"]]}}, ["documents", 0, "vectors", "v", 1, 0]),
        (
            {"document_id": "x", "vectors": {"v": {"indices": [1], "values": [1]}}},
            ["documents", 0, "vectors", "v"],
        ),
        ({"document_id": "x", "vectors": {"v": [[1], [1, 2]]}}, ["documents", 0, "vectors", "v"]),
        ({"document_id": "x", "payload": {"searchable_at": "x"}}, ["documents", 0, "searchable_at"]),
        ({"document_id": "x", "vectors": {"_internal": [1]}}, ["documents", 0, "vectors"]),
        ({"document_id": "x", "vectors": {"my://a@v1/document_id": [1]}}, ["documents", 0, "vectors"]),
        ({"document_id": "x", "vectors": {"v": [1], "my://a@v1/v": [2]}}, ["documents", 0, "vectors"]),
        ({"document_id": "x", "acl": {"public": True}}, ["documents", 0, "acl"]),
    ],
)
def test_a_document_that_does_not_fit_is_422_at_its_place(
    api: httpx.Client, books: str, document: Any, place: list[Any]
) -> None:
    assert places(refused(_upsert(api, "books", document), 422)) == [place]


def test_a_vector_of_other_dimensions_is_422_at_its_place(api: httpx.Client, books: str) -> None:
    good, bad = ({"document_id": f"d{n}", "vectors": {"v": [1.0] * n}} for n in (1, 2))
    error = refused(
        _upsert(api, "books", good, bad), 422, "documents[1].vectors.v: the vector has 2 dimensions"
    )
    assert places(error) == [["documents", 1, "vectors", "v"]]
    ok(_upsert(api, "books", good))
    created = api.post("/v1/collections/books/documents", json={"vectors": {"v": [1, 2]}})
    assert places(refused(created, 422)) == [["vectors", "v"]]


def test_over_a_thousand_documents_are_refused(api: httpx.Client, books: str) -> None:
    response = _upsert(api, "books", *({"document_id": f"d{n}"} for n in range(1001)))
    assert places(refused(response, 422)) == [["documents"]]


def test_a_repeated_idempotency_key_gives_the_first_answer_again(api: httpx.Client, books: str) -> None:
    options = {"idempotency_key": "k", "write_token": True}
    first = ok(_upsert(api, "books", {"document_id": "x", "payload": {"n": 1}}, options=options))
    ok(api.patch("/v1/documents/x", json={"n": 2}))
    assert ok(_upsert(api, "books", {"document_id": "x", "payload": {"n": 1}}, options=options)) == first
    assert ok(api.get("/v1/documents/x"))["n"] == 2
    other = _upsert(api, "books", {"document_id": "x", "payload": {"n": 3}}, options=options)
    assert refused(other, 409, "another body")["code"] == "idempotency_key_reused"
    assert ok(api.get("/v1/documents/x"))["n"] == 2
    again = {**options, "idempotency_key": "k2"}
    assert (
        ok(_upsert(api, "books", {"document_id": "x"}, options=again))["write_token"] != first["write_token"]
    )


def test_an_idempotency_key_of_a_refused_upsert_is_free_again(api: httpx.Client, books: str) -> None:
    options = {"idempotency_key": "k"}
    refused(_upsert(api, "books", {"document_id": " bad"}, options=options), 422)
    refused(_upsert(api, "nope", {"document_id": "x"}, options=options), 404)
    assert ok(_upsert(api, "books", {"document_id": "x"}, options=options))["inserted"] == 1


def test_upserts_at_once_under_one_key_have_one_answer(api: httpx.Client, books: str) -> None:
    options = {"idempotency_key": "k", "write_token": True}
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: _upsert(api, "books", {"document_id": "x"}, options=options), range(10))
        )
    assert len({ok(answer)["write_token"] for answer in answers}) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, 5])
def test_a_malformed_idempotency_key_is_422(api: httpx.Client, books: str, key: Any) -> None:
    error = refused(_upsert(api, "books", options={"idempotency_key": key}), 422)
    assert places(error) == [["options", "idempotency_key"]]


def test_the_default_options_are_accepted(api: httpx.Client, books: str) -> None:
    assert ok(_upsert(api, "books", options={"write_token": False, "idempotency_key": None}))["inserted"] == 0


def test_unknown_keys_of_a_batch_are_named(api: httpx.Client, books: str) -> None:
    answer = ok(_upsert(api, "books", {"document_id": "x", "title": "lost"}, shiny=1))
    assert [warning.split("'")[1] for warning in answer["warnings"]] == ["shiny", "title"]


def test_a_batch_without_a_collection_goes_to_a_hidden_one(api: httpx.Client, books: str) -> None:
    for n in range(2):
        ok(_upsert(api, None, {"document_id": f"loose{n}", "payload": {"n": n}}))
    names = [each["collection_name"] for each in ok(api.get("/v1/collections"))["results"]]
    assert names == ["books"]
    shown = ok(api.get("/v1/collections", params={"include_system": True}))["results"]
    assert sorted(each["collection_name"] for each in shown) == ["_direct_upsert", "books"]
    assert ok(api.get("/v1/documents/loose1"))["n"] == 1


def test_first_batches_at_once_share_one_hidden_collection(api: httpx.Client) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: _upsert(api, None, {"document_id": f"d{n}"}), range(20)))
    assert [ok(answer)["inserted"] for answer in answers] == [1] * 20
    shown = ok(api.get("/v1/collections", params={"include_system": True}))["results"]
    assert [each["collection_name"] for each in shown] == ["_direct_upsert"]
    assert ok(api.get(f"/v1/collections/{shown[0]['collection_id']}"))["document_count"] == 20


def test_the_namespace_of_the_path_rules(api: httpx.Client, root: httpx.Client, books: str) -> None:
    path = f"/v1/namespaces/{api.headers['X-Namespace']}/documents/emma"
    assert ok(root.get(path, headers={"X-Namespace": "elsewhere"}))["title"] == "Emma"


def test_create_refuses_an_id_and_another_collection(api: httpx.Client, books: str) -> None:
    path = "/v1/collections/books/documents"
    assert places(refused(api.post(path, json={"document_id": "mine"}), 422, "upsert")) == [["document_id"]]
    ok(api.post("/v1/collections", json={"collection_name": "films"}))
    assert places(refused(api.post(path, json={"collection_id": "films"}), 422)) == [["collection_id"]]
    assert ok(api.post(path, json={"collection_id": books}))["collection_id"] == books


def test_lists_by_id_unless_an_order_is_given(api: httpx.Client, books: str) -> None:
    assert _ids(_list(api)) == ["dune", "emma", "ulysses"]
    assert _ids(_list(api, sort={"field": "year", "direction": "desc"})) == ["dune", "ulysses", "emma"]
    assert _ids(_list(api, sorts=[{"field": "shelf.place"}])) == ["emma", "dune", "ulysses"]


def test_lists_filter_and_count(api: httpx.Client, books: str) -> None:
    listed = _list(
        api, filters={"field": "year", "operator": "lt", "value": 1950}, include_total=True, limit=1
    )
    assert _ids(listed) == ["emma"]
    assert (listed["pagination"]["total"], listed["total_documents"]) == (2, 2)
    assert listed["pagination"]["total_pages"] == 2
    assert _list(api, limit=1)["pagination"]["total"] is None


def test_lists_filter_by_place(api: httpx.Client, books: str) -> None:
    ok(_upsert(api, "books", {"document_id": "london", "payload": {"at": {"lat": 51.5, "lon": -0.1}}}))
    ok(_upsert(api, "books", {"document_id": "dublin", "payload": {"at": [-6.3, 53.3]}}))
    england = {"top_left": {"lat": 55.8, "lon": -5.7}, "bottom_right": [1.8, 49.9]}
    near_both = {"center": {"lat": 53.4, "lon": -3}, "radius": 300_000}
    box = {"field": "at", "operator": "geo_bounding_box", "value": england}
    circle = {"field": "at", "operator": "geo_radius", "value": near_both}
    assert _ids(_list(api, filters=box)) == ["london"]
    assert _ids(_list(api, filters=circle)) == ["dublin", "london"]
    body = {"filters": {**circle, "value": {**near_both, "radius": "300 km"}}}
    error = refused(api.post("/v1/collections/books/documents/list", json=body), 422, "metres")
    assert places(error) == [["filters", "value", "radius"]]


def test_the_typed_clients_condition_is_a_condition(api: httpx.Client, books: str) -> None:
    tree = {"AND": [{"case_sensitive": False, "field": "title", "operator": "eq", "value": "EMMA"}]}
    assert _ids(_list(api, filters=tree)) == ["emma"]


def test_a_get_lists_the_same(api: httpx.Client, books: str) -> None:
    path = "/v1/collections/books/documents"
    query = {"filters": '{"field": "year", "operator": "gt", "value": 1900}', "sort": "year:desc", "limit": 1}
    listed = ok(api.get(path, params=query))
    assert _ids(listed) == ["dune"]
    query["cursor"] = listed["pagination"]["next_cursor"]
    assert _ids(ok(api.get(path, params=query))) == ["ulysses"]
    assert _ids(ok(api.get(path, params={"sort": '{"field": "year"}'}))) == ["emma", "ulysses", "dune"]
    for bad in ({"filters": "{"}, {"filters": "[]"}, {"sort": "year:up"}, {"sort": "{}"}, {"partition": "x"}):
        assert places(refused(api.get(path, params=bad), 422)) == [["query", *bad]]


def test_select_keeps_ids_and_the_paths_asked_for(api: httpx.Client, books: str) -> None:
    listed = _list(api, select=["shelf.row", "shelf.none", "title"], limit=1)
    [found] = listed["results"]
    assert found.pop("searchable_at")
    assert found == {"document_id": "dune", "collection_id": books, "shelf": {"row": 2}, "title": "Dune"}
    whole = _list(api, select=["shelf", "shelf.row"], limit=1)["results"][0]
    assert whole["shelf"] == {"row": 2, "place": "B"}


def test_pages_neither_repeat_nor_lose_while_others_write(api: httpx.Client, books: str) -> None:
    for sort in (None, {"field": "year", "direction": "desc"}):
        before = _ids(_list(api, sort=sort))
        seen: list[str] = []
        cursor = None
        for n in range(20):
            listed = _list(api, sort=sort, limit=1, cursor=cursor)
            seen += _ids(listed)
            cursor = listed["pagination"]["next_cursor"]
            if cursor is None:
                break
            # One in front of everything and one behind: neither may shift the pages.
            ok(_upsert(api, "books", {"document_id": f"-{n}", "payload": {"year": 3000 + n}}))
        assert [each for each in seen if each in before] == before
        assert len(seen) == len(set(seen))


@pytest.mark.parametrize("change", [{"sort": {"field": "year"}}, {"filters": {"year": 1815}}])
def test_a_cursor_of_another_query_is_400(api: httpx.Client, books: str, change: Any) -> None:
    cursor = _list(api, limit=1)["pagination"]["next_cursor"]
    path = "/v1/collections/books/documents/list"
    assert refused(api.post(path, json={"limit": 1, "cursor": cursor, **change}), 400)["code"] == "bad_cursor"
    refused(api.post(path, json={"cursor": cursor[:-2] + "xx"}), 400)
    refused(api.post(path, json={"cursor": "ü"}), 400)


def test_paging_parameters_have_their_precedence(api: httpx.Client, books: str) -> None:
    def ids(body: Any, **query: Any) -> list[str]:
        return _ids(ok(api.post("/v1/collections/books/documents/list", json=body, params=query)))

    assert ids({}, page_size=1) == ["dune"]
    assert ids({}, limit=2, page_size=1) == ["dune", "emma"]
    assert ids({"page_size": 3}, limit=1) == ["dune", "emma", "ulysses"]
    assert ids({"limit": 1, "page_size": 3}) == ["dune"]
    assert ids({}, limit=1, page=3) == ["ulysses"]
    assert ids({}, limit=1, page=3, offset=1) == ["emma"]
    assert ids({"page": 2}, limit=1, offset=0) == ["emma"]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"offset": 10001}, {"page": 0}, {"page": 10**12}]
)
def test_paging_out_of_range_is_422(api: httpx.Client, books: str, query: dict[str, int]) -> None:
    path = "/v1/collections/books/documents/list"
    assert places(refused(api.post(path, params=query), 422)) == [["query", *query]]
    assert places(refused(api.post(path, json=query), 422)) == [[*query]]


def test_vectors_come_when_asked_for(api: httpx.Client, books: str) -> None:
    ok(_upsert(api, "books", {"document_id": "v", "payload": {"n": 1}, "vectors": {"a": [1, 0.5], "b": [2]}}))
    path = "/v1/collections/books/documents/v"
    assert "a" not in ok(api.get(path))
    both = ok(api.get(path, params={"return_vectors": True}))
    assert (both["a"], both["b"], both["n"]) == ([1.0, 0.5], [2.0], 1)
    one = ok(api.get(path, params={"return_vector_names": "b,c"}))
    assert ("a" in one, one["b"]) == (False, [2.0])
    names = ok(api.get(path, params={"return_vector_names": "true"}))
    assert ("a" in names, names["_vectors"]) == (False, ["a", "b"])
    listed = _list(api, return_vectors=True, filters={"n": 1})["results"][0]
    assert listed == both
    assert "b" not in _list(api, return_vector_names=["a"], filters={"n": 1})["results"][0]
    assert (
        "a"
        in ok(api.post("/v1/documents/batch-get", json={"document_ids": ["v"], "return_vectors": True}))[
            "documents"
        ][0]
    )


def test_batch_get_keeps_the_order_and_names_what_is_missing(api: httpx.Client, books: str) -> None:
    ok(_upsert(api, None, {"document_id": "loose"}))
    body = {"document_ids": ["ulysses", "nope", "loose", "emma", "ulysses"]}
    answer = ok(api.post("/v1/documents/batch-get", json=body))
    assert [each["document_id"] for each in answer["documents"]] == ["ulysses", "loose", "emma"]
    assert answer["not_found"] == ["nope"]


def test_delete_one(api: httpx.Client, books: str) -> None:
    path = "/v1/collections/books/documents/emma"
    assert ok(api.delete(path))["success"] is True
    refused(api.get(path), 404, "emma")
    refused(api.delete(path), 404, "emma")


def test_delete_many_by_ids_reports_each(api: httpx.Client, books: str) -> None:
    body = {"document_ids": ["emma", "nope", "dune"], "reason": "test"}
    answer = ok(api.request("DELETE", "/v1/collections/books/documents/batch", json=body))
    assert (answer["deleted_count"], answer["failed_count"]) == (2, 1)
    assert [(each["document_id"], each["success"]) for each in answer["results"]] == [
        ("emma", True),
        ("nope", False),
        ("dune", True),
    ]
    assert _ids(_list(api)) == ["ulysses"]


def test_delete_many_by_filter_goes_on_over_a_thousand(api: httpx.Client, books: str) -> None:
    for start in (0, 1000):
        ok(
            _upsert(
                api, "books", *({"document_id": f"n{start + n}", "payload": {"n": 1}} for n in range(1000))
            )
        )
    ok(_upsert(api, "books", {"document_id": "last", "payload": {"n": 1}}))
    path = "/v1/collections/books/documents/batch"
    answer = ok(api.request("DELETE", path, json={"filters": {"n": 1}}))
    assert (answer["deleted_count"], answer["results"]) == (2001, [])
    assert _ids(_list(api)) == ["dune", "emma", "ulysses"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filters": {}},
        {"filters": {"AND": []}},
        {"document_ids": []},
        {"document_ids": ["x"], "filters": {"a": 1}},
    ],
)
def test_a_batch_delete_without_a_clear_target_deletes_nothing(
    api: httpx.Client, books: str, body: Any
) -> None:
    refused(api.request("DELETE", "/v1/collections/books/documents/batch", json=body), 422)
    assert ok(api.get("/v1/collections/books/documents/count"))["count"] == 3


def test_documents_of_an_unknown_collection_are_404(api: httpx.Client) -> None:
    for path in ("/v1/collections/nope/documents", "/v1/collections/nope/documents/count"):
        refused(api.get(path), 404, "nope")
    refused(_upsert(api, "nope", {"document_id": "x"}), 404, "nope")
    refused(api.get("/v1/documents/nope"), 404, "nope")


def test_a_document_is_found_although_another_collection_is_being_deleted(
    api: httpx.Client, books: str, settings: Settings
) -> None:
    ok(_upsert(api, "books", {"document_id": "here", "payload": {"n": 1}}))
    newer = ok(api.post("/v1/collections", json={"collection_name": "leaving"}))["collection_id"]
    (settings.data_dir / "documents" / api.headers["X-Namespace"] / f"{newer}.db").unlink()
    assert ok(api.get("/v1/documents/here"))["n"] == 1
