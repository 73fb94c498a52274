"""What a client gives to an execution: inputs, collections, filters; and what the answer says about them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared import keys
from shared.broker import QUEUE_NORMAL
from shared.redis_sync import connect
from tests.contract.check import check_error
from tests.contract.scenes import (
    busy,
    document_ids,
    keep,
    post_execute,
    retriever,
    run,
    search,
    stage,
    unique,
    write,
)
from tests.stack import Stack

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(scope="module")
def papers(client: httpx.Client) -> str:
    """Id of a second collection, of three documents."""
    created = client.post("/collections", json={"collection_name": "papers"}).json()
    rows = [
        {"document_id": f"paper_{n}", "text": f"paper {n} about trains", "year": 2000 + n} for n in range(3)
    ]
    write(client, "papers", rows)
    collection_id: str = created["collection_id"]
    return collection_id


def interpretation(execution: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = execution["interpretation"]
    return seen


# Inputs


def test_defaults_fill_what_is_absent_and_are_named(client: httpx.Client) -> None:
    made = retriever(
        client,
        search("trains", final_top_k="{{INPUT.top_k}}"),
        collection_identifiers=["books"],
        input_schema={"top_k": {"type": "integer", "default": 4}},
    )
    by_default = run(client, made)
    assert len(by_default["documents"]) == 4
    assert interpretation(by_default)["inferred_inputs"] == {"top_k": 4}
    given = run(client, made, inputs={"top_k": 2})
    assert len(given["documents"]) == 2
    assert interpretation(given)["inferred_inputs"] == {}
    assert interpretation(given)["provided_input_keys"] == ["top_k"]
    assert by_default["inputs_hash"] == run(client, made, inputs={"top_k": 4})["inputs_hash"]


def test_inputs_that_nothing_uses_are_named(client: httpx.Client) -> None:
    schema = {"genre": {"type": "string"}}
    made = retriever(client, search(), collection_identifiers=["books"], input_schema=schema)
    seen = interpretation(run(client, made, inputs={"query": "trains", "genre": "crime", "colour": "red"}))
    assert seen["ignored_input_keys"] == ["colour"]
    assert seen["provided_input_keys"] == ["colour", "genre", "query"]


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("string", "x", 1),
        ("number", 1.5, "1.5"),
        ("number", 2, True),
        ("integer", 2, 2.0),
        ("float", 2, "2"),
        ("boolean", False, 0),
        ("object", {"a": 1}, [1]),
        ("array", [0.1, 0.2], {"0": 0.1}),
        ("date", "2026-01-31", "2026-02-31"),
        ("datetime", "2026-01-31T09:30:00Z", "yesterday"),
        ("document_reference", {"collection_id": "col_1", "document_id": "d"}, {"document_id": "d"}),
    ],
)
def test_types_of_inputs(client: httpx.Client, type_: str, good: Any, bad: Any) -> None:
    made = retriever(
        client, search("trains"), collection_identifiers=["books"], input_schema={"value": {"type": type_}}
    )
    assert post_execute(client, made, {"inputs": {"value": good}}).status_code == 200
    assert post_execute(client, made, {"inputs": {"value": None}}).status_code == 200
    check_error(post_execute(client, made, {"inputs": {"value": bad}}), 422)


def test_every_wrong_input_is_named_at_once(client: httpx.Client) -> None:
    schema = {"a": {"type": "integer"}, "b": {"type": "string", "required": True}, "c": {"type": "boolean"}}
    made = retriever(client, search("trains"), collection_identifiers=["books"], input_schema=schema)
    envelope = check_error(post_execute(client, made, {"inputs": {"a": "1", "c": 1}}), 422)
    errors = (envelope.error.details or {})["validation_errors"]
    assert [error["loc"] for error in errors] == [["inputs", "a"], ["inputs", "b"], ["inputs", "c"]]


def test_a_condition_whose_input_is_absent_is_dropped_and_reported(client: httpx.Client) -> None:
    made = retriever(
        client,
        stage(
            "keep", "attribute_filter",
            conditions={"AND": [
                {"field": "genre", "operator": "eq", "value": "{{INPUT.genre}}"},
                {"field": "year", "operator": "gte", "value": {"type": "dynamic", "field": "inputs.year"}},
            ]},
        ),
        collection_identifiers=["books"],
        input_schema={"genre": {"type": "string"}, "year": {"type": "integer"}},
    )  # fmt: skip
    both = run(client, made, inputs={"genre": "crime", "year": 2000})
    assert (both["pagination"]["total"], interpretation(both)["relaxations"]) == (5, [])
    no_year = run(client, made, inputs={"genre": "crime"})
    assert no_year["pagination"]["total"] == 15
    assert len(interpretation(no_year)["relaxations"]) == 1
    assert "year" in interpretation(no_year)["relaxations"][0]
    neither = run(client, made)
    assert neither["pagination"]["total"] == 45
    assert len(interpretation(neither)["relaxations"]) == 2


# Collections


def test_collections_by_id_and_name_each_once(client: httpx.Client, books: str, papers: str) -> None:
    made = retriever(client, keep("year", "gte", 2000), collection_identifiers=["books"])
    found = run(client, made, collection_identifiers=["papers", books, papers, "books", "papers"], limit=100)
    assert found["pagination"]["total"] == 15 + 3
    assert {document["collection_id"] for document in found["documents"]} == {books, papers}


def test_given_collections_replace_the_retrievers_own(client: httpx.Client, papers: str) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    found = run(client, made, collection_identifiers=["papers"])
    assert {document["collection_id"] for document in found["documents"]} == {papers}
    assert found["pagination"]["total"] == 3


@pytest.mark.parametrize("unknown", ["nowhere", "col_0000000000", "", "../books"])
def test_an_unknown_collection_enqueues_nothing(
    service: Stack, client: httpx.Client, books: str, unknown: str
) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    with busy(service, client), connect(service.redis_url) as server:
        before = (server.llen(QUEUE_NORMAL), server.zcard(keys.pending(QUEUE_NORMAL)))
        envelope = check_error(post_execute(client, made, {"collection_identifiers": [books, unknown]}), 404)
        assert repr(unknown) in envelope.error.message
        assert (server.llen(QUEUE_NORMAL), server.zcard(keys.pending(QUEUE_NORMAL))) == before
    assert client.post(f"/retrievers/{made}/executions/list").json()["pagination"]["total"] == 0


def test_a_retriever_without_collections_searches_the_namespace(service: Stack) -> None:
    with service.namespace(unique("whole")) as client:
        made = retriever(client, search("trains"))
        assert run(client, made)["documents"] == []  # a namespace without collections
        for name in ("one", "two"):
            client.post("/collections", json={"collection_name": name})
            write(client, name, [{"document_id": f"doc_{name}", "text": "about trains"}])
        assert sorted(document_ids(run(client, made))) == ["doc_one", "doc_two"]


def test_a_deleted_collection_ends_a_run_that_needs_it(service: Stack) -> None:
    with service.namespace(unique("deleting")) as client:
        client.post("/collections", json={"collection_name": "brief"})
        made = retriever(client, search("trains"), collection_identifiers=["brief"])
        with busy(service, client):
            execution_id = post_execute(client, made).json()["execution_id"]
            assert client.delete("/collections/brief").status_code == 200
        answer = client.get(f"/retrievers/{made}/executions/{execution_id}", headers={"Prefer": "wait=20"})
        assert answer.json()["status"] == "failed"
        assert "'search' (index 0" in answer.json()["error"]


# Filters of the request


@pytest.mark.parametrize(
    ("filters", "total"),
    [
        ({"genre": "crime"}, 15),
        ({"field": "genre", "value": "crime"}, 15),
        ({"case_sensitive": False, "field": "genre", "operator": "eq", "value": "CRIME"}, 15),
        ({"AND": [{"field": "year", "operator": "lt", "value": 1980}, {"genre": "poetry"}]}, 3),
        ({"OR": [{"genre": "poetry"}, {"payload.year": 1970}]}, 16),
        ({"NOT": [{"genre": "poetry"}, {"genre": "crime"}]}, 15),
        ({"field": "document_id", "operator": "in", "value": ["doc_01", "doc_02", "doc_99"]}, 2),
        ({"field": "colour", "operator": "exists", "value": True}, 0),
        ({"field": "colour", "operator": "is_null", "value": True}, 45),
        ({}, 45),
        (None, 45),
    ],
)
def test_filters_of_a_request(client: httpx.Client, filters: dict[str, Any] | None, total: int) -> None:
    made = retriever(client, search("trains", final_top_k=100), collection_identifiers=["books"])
    assert run(client, made, filters=filters)["pagination"]["total"] == total


@pytest.mark.parametrize(
    ("operator", "value", "given", "total"),
    [
        ("in", "{{INPUT.genres}}", ["crime"], 15),
        ("eq", {"type": "dynamic", "field": "inputs.genres"}, "crime", 15),
        ("in", "{{INPUT.genres}}", None, 45),
    ],
)
def test_filters_of_a_request_may_use_its_inputs(
    client: httpx.Client, operator: str, value: Any, given: Any, total: int
) -> None:
    made = retriever(client, search("trains", final_top_k=100), collection_identifiers=["books"])
    filters = {"field": "genre", "operator": operator, "value": value}
    inputs = {} if given is None else {"genres": given}
    answer = run(client, made, filters=filters, inputs=inputs)
    assert answer["pagination"]["total"] == total
    assert answer["interpretation"]["ignored_input_keys"] == []


def test_filters_of_request_stage_and_search_all_apply(client: httpx.Client) -> None:
    searching = search("trains", final_top_k=100)
    searching["config"]["pre_filters"] = {"field": "year", "operator": "gte", "value": 2000}
    made = retriever(client, searching, keep("year", "lte", 2010), collection_identifiers=["books"])
    found = run(client, made, filters={"genre": "crime"}, limit=100)
    assert sorted(document["payload"]["year"] for document in found["documents"]) == [2000, 2003, 2006, 2009]


def test_unknown_keys_are_tolerated_and_named(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    answer = run(client, made, description="a nightly run", settings={"limit": 3})
    assert answer["status"] == "completed"
    assert any("'description'" in warning for warning in answer["warnings"])
