"""Collections: created, found, listed, deleted with their documents."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from shared import keys
from shared.settings import Settings
from shared.stores.resources import SCOPE_MAX
from tests.integration.api.answers import ok, places, refused


def _create(api: httpx.Client, name: str, **over: Any) -> dict[str, Any]:
    created: dict[str, Any] = ok(api.post("/v1/collections", json={"collection_name": name, **over}))
    return created


def test_a_collection_is_found_by_id_and_by_name(api: httpx.Client) -> None:
    created = _create(api, "books", description="d", metadata={"a": 1})
    assert len(created["collection_id"]) == len("col_") + 10
    assert created["feature_extractor"]["feature_extractor_id"] == "passthrough_extractor_v1"
    assert (
        ok(api.get("/v1/collections/books"))
        == ok(api.get(f"/v1/collections/{created['collection_id']}"))
        == created
    )


@pytest.mark.parametrize("name", ["col_books", "a/b c?d", "Größe %2F", "../../x"])
def test_any_printable_name_works_in_a_path(api: httpx.Client, name: str) -> None:
    created = _create(api, name)
    path = httpx.URL("/v1/collections/").raw_path.decode() + "".join(f"%{byte:02X}" for byte in name.encode())
    assert ok(api.get(path))["collection_id"] == created["collection_id"]


def test_an_id_wins_over_a_name_that_looks_like_it(api: httpx.Client) -> None:
    first = _create(api, "books")
    _create(api, first["collection_id"])
    assert ok(api.get(f"/v1/collections/{first['collection_id']}"))["collection_name"] == "books"


def test_one_of_fifty_creates_of_a_name_wins(api: httpx.Client, settings: Settings) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: api.post("/v1/collections", json={"collection_name": "books"}), range(50))
        )
    assert [answer.status_code for answer in answers].count(200) == 1
    codes = [refused(answer, 409)["code"] for answer in answers if answer.status_code != 200]
    assert codes == ["collection_name_taken"] * 49
    files = list((settings.data_dir / "documents" / api.headers["X-Namespace"]).glob("*.db"))
    assert len(files) == 1, "the losers left nothing behind"


def test_names_are_free_in_another_namespace_and_nothing_is_seen_from_there(
    api: httpx.Client, root: httpx.Client, books: str
) -> None:
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"other {books}"}))["namespace_id"]
    headers = {"X-Namespace": other}
    refused(root.get(f"/v1/collections/{books}", headers=headers), 404, books)
    refused(root.get(f"/v1/collections/{books}/documents/emma", headers=headers), 404, books)
    refused(root.delete(f"/v1/collections/{books}", headers=headers), 404, books)
    assert (
        ok(root.post("/v1/collections", json={"collection_name": "books"}, headers=headers))["collection_id"]
        != books
    )


def test_a_namespace_that_was_just_deleted_takes_nothing_new(
    api: httpx.Client, redis_client: redis.Redis, settings: Settings
) -> None:
    namespace = api.headers["X-Namespace"]
    assert ok(api.get("/v1/collections"))["total_count"] == 0  # its name is remembered now
    redis_client.delete(keys.resource("namespace", namespace))  # as another API process deletes it
    refused(api.post("/v1/collections", json={"collection_name": "books"}), 404, namespace)
    assert not list((settings.data_dir / "documents" / namespace).glob("*.db"))


def test_a_full_namespace_takes_no_more(api: httpx.Client, redis_client: redis.Redis) -> None:
    fillers = {f"col_{n}": n for n in range(SCOPE_MAX)}
    redis_client.zadd(keys.resource_ids("collection", api.headers["X-Namespace"]), fillers)
    response = api.post("/v1/collections", json={"collection_name": "books"})
    assert refused(response, 409, "10000")["code"] == "collection_limit"


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"collection_name": "ab"}, ["collection_name"]),
        ({"collection_name": "_direct_upsert"}, ["collection_name"]),
        ({"source": {"type": "nowhere"}}, ["source", "type"]),
        ({"input_schema": {}}, ["input_schema"]),
        ({"schedule": {"hours": 1}}, ["schedule"]),
    ],
)
def test_what_does_not_fit_is_422_at_its_place(api: httpx.Client, over: Any, place: list[str]) -> None:
    assert places(refused(api.post("/v1/collections", json={"collection_name": "books", **over}), 422)) == [
        place
    ]


def test_lists_filter_search_and_sort(api: httpx.Client) -> None:
    for name, description in (("Alpha", "first"), ("beta", "second"), ("Gamma", "third one")):
        _create(api, name, description=description, metadata={"size": len(description)})

    def names(**body: Any) -> list[str]:
        listed = ok(api.post("/v1/collections/list", json=body))
        assert listed["total_count"] == len(listed["results"])
        return [each["collection_name"] for each in listed["results"]]

    assert names() == ["Gamma", "beta", "Alpha"]
    assert names(search="BET") == ["beta"]
    assert names(search="BET", case_sensitive=True) == []
    assert names(search="*h?rd*") == ["Gamma"]
    assert names(search="[a-z]") == []
    assert names(filters={"collection_name": "ALPHA"}) == ["Alpha"]
    assert names(filters={"collection_name": "ALPHA"}, case_sensitive=True) == []
    assert names(filters={"field": "metadata.size", "operator": "gt", "value": 5}) == ["Gamma", "beta"]
    assert names(sort={"field": "collection_name"}) == ["Alpha", "Gamma", "beta"]
    assert names(sorts=[{"field": "metadata.size", "direction": "desc"}]) == ["Gamma", "beta", "Alpha"]


def test_an_unknown_filter_operator_is_422_and_lists_the_known_ones(api: httpx.Client) -> None:
    body = {"filters": {"field": "collection_name", "operator": "like", "value": "x"}}
    error = refused(api.post("/v1/collections/list", json=body), 422, "starts_with")
    assert places(error)[0][0] == "filters"


def test_pages_neither_repeat_nor_lose_while_others_create(api: httpx.Client) -> None:
    made = [_create(api, f"books {n}")["collection_id"] for n in range(5)]
    seen: list[str] = []
    cursor = None
    for n in range(3):
        listed = ok(api.post("/v1/collections/list", params={"limit": 2, "cursor": cursor or ""}))
        seen += [each["collection_id"] for each in listed["results"]]
        cursor = listed["pagination"]["next_cursor"]
        _create(api, f"meanwhile {n}")
    assert seen == made[::-1]
    assert cursor is None


def test_an_empty_body_with_a_json_label_lists_everything(api: httpx.Client, books: str) -> None:
    response = api.post("/v1/collections/list", headers={"Content-Type": "application/json"})
    assert [each["collection_id"] for each in ok(response)["results"]] == [books]


def test_a_list_in_an_unknown_namespace_is_empty_and_says_so(root: httpx.Client) -> None:
    response = root.post("/v1/collections/list", headers={"X-Namespace": "nowhere"})
    listed = ok(response)
    assert (listed["results"], listed["total_count"]) == ([], 0)
    assert [(each["resource"], each["reason"]) for each in listed["warnings"]] == [
        ("namespace", "unresolved")
    ]
    assert response.headers["X-Namespace-Unresolved"]


def test_deletion_takes_the_documents_and_frees_the_name(
    api: httpx.Client, books: str, settings: Settings
) -> None:
    assert ok(api.delete("/v1/collections/books"))["success"] is True
    refused(api.get("/v1/collections/books"), 404)
    refused(api.get(f"/v1/collections/{books}/documents/emma"), 404)
    assert not list((settings.data_dir / "documents" / api.headers["X-Namespace"]).glob(f"{books}*.db"))
    again = _create(api, "books")
    assert again["collection_id"] != books
    assert ok(api.get("/v1/collections/books/documents/count"))["count"] == 0


@pytest.mark.parametrize("model", [["a"], {"a": 1}, 7, "no such"])
def test_an_unknown_embedding_model_is_refused(api: httpx.Client, model: Any) -> None:
    extractor = {"feature_extractor_name": "text_extractor", "parameters": {"embedding_model": model}}
    body = {"collection_name": "texts", "feature_extractor": extractor}
    error = refused(api.post("/v1/collections", json=body), 422, "there is no embedding model")
    assert places(error) == [["feature_extractor", "parameters", "embedding_model"]]


def test_the_vendors_default_feature_stands_for_the_default_model(api: httpx.Client) -> None:
    feature = "mixpeek://text_extractor@v1"
    indexes = [
        _create(api, f"texts of {uri}", features=[uri])["vector_indexes"]
        for uri in (feature, f"{feature}/multilingual_e5_large_instruct_v1")
    ]
    assert indexes[0] == indexes[1] != []
