"""Changing and cloning namespaces, collections and retrievers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest
import redis

from shared import keys
from tests.integration.api.answers import ok, places, refused

SCHEMA = {"query": {"type": "string", "required": True}, "kind": {"type": "string", "enum": ["a", "b"]}}


def stage(name: str, field: str = "year") -> dict[str, Any]:
    return {"stage_name": name, "config": {"stage_id": "sort_attribute", "parameters": {"field": field}}}


@pytest.fixture
def made(api: httpx.Client, books: str) -> dict[str, Any]:
    """A retriever `r` over the collection `books`."""
    body = {
        "retriever_name": "r",
        "stages": [stage("sorted")],
        "input_schema": SCHEMA,
        "collection_identifiers": ["books"],
        "tags": ["old"],
        "budget_limits": {"max_credits": 5},
    }
    created: dict[str, Any] = ok(api.post("/v1/retrievers", json=body))
    return created


def change(api: httpx.Client, **body: Any) -> httpx.Response:
    return api.patch("/v1/retrievers/r", json=body)


def test_a_change_makes_the_next_version(
    api: httpx.Client, made: dict[str, Any], redis_client: redis.Redis
) -> None:
    stages = [stage("first"), stage("second")]
    changed = ok(change(api, description="new", tags=["x"], stages=stages))["retriever"]
    assert (changed["version"], changed["description"], changed["tags"]) == (2, "new", ["x"])
    assert [each["stage_name"] for each in changed["stages"]] == ["first", "second"]
    assert changed["updated_at"] > made["updated_at"]
    assert {**changed, "warnings": []} == ok(api.get("/v1/retrievers/r"))
    old, new = (keys.definition(made["retriever_id"], version) for version in (1, 2))
    snapshot = orjson.loads(redis_client.get(new) or b"")
    assert (snapshot["version"], len(snapshot["stages"])) == (2, 2)
    assert redis_client.ttl(new) == -1
    assert redis_client.ttl(old) > 0, "what was submitted runs the version it was submitted with"
    execution = ok(api.post("/v1/retrievers/r/execute", json={"inputs": {"query": "x"}}))
    assert execution["total_stages"] == 2
    assert redis_client.hget(keys.execution(execution["execution_id"]), "version") == b"2"


def test_a_name_can_change_and_is_free_again(api: httpx.Client, made: dict[str, Any]) -> None:
    ok(change(api, retriever_name="other"))
    refused(api.get("/v1/retrievers/r"), 404)
    assert ok(api.get("/v1/retrievers/other"))["retriever_id"] == made["retriever_id"]
    ok(api.post("/v1/retrievers", json={"retriever_name": "r", "stages": [stage("s")]}))
    error = refused(api.patch("/v1/retrievers/other", json={"retriever_name": "r"}), 409)
    assert error["code"] == "retriever_name_taken"
    assert ok(api.get("/v1/retrievers/other"))["version"] == 2


def test_of_many_changes_at_once_each_is_applied(api: httpx.Client, made: dict[str, Any]) -> None:
    def describe(number: int) -> int:
        return change(api, metadata={"number": number}).status_code

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(describe, range(5))) == [200] * 5
    assert ok(api.get("/v1/retrievers/r"))["version"] == 6


@pytest.mark.parametrize(
    "schema",
    [
        {**SCHEMA, "more": {"type": "integer", "default": 3, "required": True}},
        {**SCHEMA, "kind": {"type": "string", "enum": ["a", "b", "c"], "description": "d"}},
        {**SCHEMA, "kind": {"type": "string"}},
        {**SCHEMA, "query": {"type": "string", "default": "x"}},
    ],
)
def test_an_input_schema_can_grow(api: httpx.Client, made: dict[str, Any], schema: dict[str, Any]) -> None:
    assert ok(change(api, input_schema=schema))["retriever"]["input_schema"] == schema


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"query": SCHEMA["query"]}, "kind"),
        ({**SCHEMA, "query": {"type": "integer", "required": True}}, "query"),
        ({**SCHEMA, "kind": {"type": "string", "enum": ["a"]}}, "kind"),
        ({**SCHEMA, "kind": {"type": "string", "enum": ["a", "b"], "required": True}}, "kind"),
        ({**SCHEMA, "query": {"type": "string", "required": True, "enum": ["x"]}}, "query"),
        ({**SCHEMA, "more": {"type": "string", "required": True}}, "more"),
    ],
)
def test_an_input_schema_cannot_break_its_callers(
    api: httpx.Client, made: dict[str, Any], schema: dict[str, Any], place: str
) -> None:
    assert places(refused(change(api, input_schema=schema), 422)) == [["input_schema", place]]
    assert ok(api.get("/v1/retrievers/r"))["version"] == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"budget_limits": {"max_credits": 9}}, 422, "clone the retriever"),
        ({"stages": [{"stage_name": "x", "config": {"stage_id": "nope"}}]}, 422, "is not a known stage"),
        ({"stages": []}, 422, "1 to 50 stages"),
        ({"collection_identifiers": ["nope"]}, 404, "nope"),
        ({"retriever_name": ""}, 422, "retriever_name"),
    ],
)
def test_a_change_that_cannot_be_is_refused_whole(
    api: httpx.Client, made: dict[str, Any], body: dict[str, Any], status: int, words: str
) -> None:
    refused(change(api, description="lost", **body), status, words)
    assert {**made, "warnings": []} == ok(api.get("/v1/retrievers/r"))


def test_what_is_left_out_or_null_stays_and_unknown_keys_are_named(
    api: httpx.Client, made: dict[str, Any]
) -> None:
    changed = ok(change(api, description=None, colour="red"))["retriever"]
    assert changed["warnings"] == ["the key 'colour' is unknown and was ignored"]
    kept = set(made) - {"version", "updated_at", "warnings"}
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}
    assert ok(change(api, collection_identifiers=[]))["retriever"]["collection_ids"] == []


def test_a_clone_is_a_retriever_of_its_own(api: httpx.Client, made: dict[str, Any]) -> None:
    body = {
        "retriever_name": "copy",
        "budget_limits": {"max_time_ms": 100},
        "tags": ["new"],
        "display_config": {"title": "Copy"},
    }
    cloned = ok(api.post("/v1/retrievers/r/clone", json=body))
    copy = cloned["retriever"]
    assert (copy["display_config"], copy["warnings"]) == ({"title": "Copy"}, [])
    assert cloned["source_retriever_id"] == made["retriever_id"] != copy["retriever_id"]
    assert (copy["version"], copy["tags"], copy["budget_limits"]["max_time_ms"]) == (1, ["new"], 100)
    same = ("stages", "input_schema", "collection_ids", "fusion")
    assert {name: copy[name] for name in same} == {name: made[name] for name in same}
    refused(api.post("/v1/retrievers/r/clone", json={"retriever_name": "r"}), 409)
    refused(api.post("/v1/retrievers/nope/clone", json={"retriever_name": "x"}), 404)


def test_the_features_that_a_retriever_needs_are_shown(api: httpx.Client, made: dict[str, Any]) -> None:
    assert (made["feature_dependencies"], made["fusion"]) == ([], None)
    searches = [
        {"feature_uri": uri, "query": {"input_mode": "text", "value": "x"}}
        for uri in (
            "mixpeek://text_extractor@v1/words",
            "mixpeek://text_extractor@v1",
            "own",
            "{{INPUT.uri}}",
        )
    ]
    search = {
        "stage_name": "s",
        "config": {"stage_id": "feature_search", "parameters": {"searches": searches}},
    }
    changed = ok(change(api, stages=[search]))["retriever"]
    words = {"scheme": "mixpeek", "extractor": "text_extractor", "version": "v1", "output": "words"}
    assert changed["feature_dependencies"] == [words, {**words, "output": None}]
    assert changed["fusion"] == "rrf"


def test_a_collection_is_changed_and_cloned(api: httpx.Client, books: str) -> None:
    body = {"collection_name": "novels", "description": "d", "metadata": {"a": 1}, "enabled": False}
    changed = ok(api.patch("/v1/collections/books", json=body))
    assert {name: changed[name] for name in body} == body
    assert (changed["collection_id"], changed["document_count"]) == (books, 3)
    refused(api.get("/v1/collections/books"), 404)
    extractor = {"feature_extractor_name": "text_extractor", "version": "v1"}
    clone = {"collection_name": "books", "feature_extractor": extractor, "enabled": True}
    cloned = ok(api.post("/v1/collections/novels/clone", json=clone))
    assert cloned["source_collection_id"] == books
    copy = cloned["collection"]
    assert (copy["metadata"], copy["enabled"], copy["document_count"]) == ({"a": 1}, True, 0)
    assert copy["vector_indexes"][0]["index"]["dimensions"] == 256
    refused(api.patch("/v1/collections/novels", json={"collection_name": "books"}), 409)
    refused(api.patch("/v1/collections/novels", json={"collection_name": "_direct_upsert"}), 422)
    assert places(refused(api.patch("/v1/collections/novels", json={"alert_applications": [{}]}), 422)) == [
        ["alert_applications", 0, "alert_id"],
        ["alert_applications", 0, "input_mappings"],
    ]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_namespace_is_changed_and_counted(root: httpx.Client, method: str) -> None:
    created = ok(root.post("/v1/namespaces", json={"namespace_name": f"before {method}"}))
    path = f"/v1/namespaces/{created['namespace_id']}"
    index = {"field_name": "year", "type": "integer"}
    body = {"namespace_name": f"after {method}", "payload_indexes": [index]}
    changed = ok(root.request(method, path, json=body))
    assert changed["namespace_name"] == f"after {method}"
    assert changed["payload_indexes"][0]["field_name"] == "year"
    refused(root.get(f"/v1/namespaces/before {method}"), 404)
    assert ok(root.get(f"/v1/namespaces/after {method}/stats")) == {
        "namespace_id": created["namespace_id"],
        "document_count": 0,
        "document_count_complete": True,
        "collection_count": 0,
    }
    asked = [f"after {method}", "nope", created["namespace_id"], ""]
    counted = ok(root.post("/v1/namespaces/stats/batch", json={"namespace_ids": asked}))["stats"]
    assert sorted(counted) == sorted([asked[0], asked[2]])
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"other {method}"}))
    taken = {"namespace_name": f"after {method}"}
    refused(root.request(method, f"/v1/namespaces/{other['namespace_id']}", json=taken), 409)


def test_a_null_name_stays_as_it_is(api: httpx.Client, made: dict[str, Any]) -> None:
    namespace = api.headers["X-Namespace"]
    for path, kind in (
        (f"/v1/namespaces/{namespace}", "namespace"),
        ("/v1/collections/books", "collection"),
        ("/v1/retrievers/r", "retriever"),
    ):
        name = f"{kind}_name"
        before = ok(api.get(path))
        answer = ok(api.patch(path, json={name: None, "description": "new"}))
        after = answer.get("retriever", answer)
        assert (after[name], after["description"]) == (before[name], "new")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", {"type": "none"}),
        ("feature_extractor", {"feature_extractor_name": "passthrough_extractor"}),
        ("features", ["mixpeek://text_extractor@v1"]),
        ("input_schema", {"properties": {}}),
    ],
)
def test_what_a_collection_is_made_of_cannot_be_changed(
    api: httpx.Client, books: str, field: str, value: Any
) -> None:
    error = refused(api.patch("/v1/collections/books", json={field: value}), 422, "make another collection")
    assert places(error) == [[field]]


def test_what_is_not_supported_yet_is_refused_in_a_change_too(api: httpx.Client, books: str) -> None:
    namespace = api.headers["X-Namespace"]
    for path, field in (
        (f"/v1/namespaces/{namespace}", "ttl_seconds"),
        (f"/v1/namespaces/{namespace}", "spend_budget"),
        (f"/v1/namespaces/{namespace}", "pinned"),
        ("/v1/collections/books", "schedule"),
        ("/v1/collections/books", "taxonomy_applications"),
    ):
        assert places(refused(api.patch(path, json={field: {"a": 1}}), 422, "not supported yet")) == [[field]]
    body = {"collection_name": "copy", "taxonomy_applications": [{"taxonomy_id": "t"}]}
    refused(api.post("/v1/collections/books/clone", json=body), 422, "not supported yet")
