"""Batches: each query an execution of its own, answered in the order of the queries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.check import check_error, check_execution, places
from tests.contract.scenes import ALL, BY_YEAR, document_ids, read, retriever, run, search, stage, unique
from tests.events import events_of, executing
from tests.stack import Stack, ended, gate, poll_until
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("books")
SCHEMA = {"query": {"type": "string", "required": True}, "before": {"type": "integer"}}
BEFORE = stage("before", "attribute_filter", field="year", operator="lt", value="{{INPUT.before}}")


@pytest.fixture(scope="module")
def made(client: httpx.Client, books: str) -> str:
    return retriever(client, BEFORE, BY_YEAR, collection_identifiers=["books"], input_schema=SCHEMA)


def post(
    client: httpx.Client, made: str, queries: Any, prefer: str = "wait=20", query: str = "", **body: Any
) -> httpx.Response:
    sent = {"queries": queries, **body}
    return client.post(f"/retrievers/{made}/execute/batch{query}", json=sent, headers={"Prefer": prefer})


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    assert [each["query_index"] for each in found] == list(range(len(found)))
    return found


def asking(before: int, **over: Any) -> dict[str, Any]:
    return {"inputs": {"query": "x", "before": before}, **over}


def history(client: httpx.Client, made: str) -> list[str]:
    listed = client.post(f"/retrievers/{made}/executions/list?limit=1000").json()["results"]
    return [each["execution_id"] for each in listed]


def test_results_are_in_the_order_of_the_queries(client: httpx.Client, made: str) -> None:
    answer = post(client, made, [asking(1970 + count) for count in (3, 0, 2, 1)])
    found = results(answer)
    assert [document_ids(each) for each in found] == [ALL[:3], [], ALL[:2], ALL[:1]]
    for each in found:
        check_execution(each)
        alone = read(client, made, each["execution_id"]).json()
        assert {"query_index": each["query_index"], **alone} == each
    assert (answer.json()["total_queries"], answer.json()["warnings"]) == (4, [])
    assert answer.headers["preference-applied"] == "wait=20"


def test_a_result_has_ten_documents_unless_told(client: httpx.Client, made: str) -> None:
    queries = [asking(2000)]
    assert document_ids(results(post(client, made, queries))[0]) == ALL[:10]
    three = results(post(client, made, queries, settings={"limit": 3}))[0]
    assert (document_ids(three), three["pagination"]["total"]) == (ALL[:3], 30)
    cursor = {"method": "cursor", "cursor": three["pagination"]["cursor"]}
    assert document_ids(run_page(client, made, cursor)) == ALL[3:6]


def run_page(client: httpx.Client, made: str, pagination: dict[str, Any]) -> dict[str, Any]:
    page: dict[str, Any] = client.post(f"/retrievers/{made}/execute", json={"pagination": pagination}).json()
    return page


def test_each_query_has_its_own_filters(client: httpx.Client, made: str) -> None:
    crime = {"field": "genre", "operator": "eq", "value": "crime"}
    found = results(post(client, made, [asking(1975, filters=crime), asking(1975)]))
    assert [document_ids(each) for each in found] == [["doc_00", "doc_03"], ALL[:5]]


BAD: list[tuple[Any, list[str]]] = [
    ({"inputs": {}}, ["inputs.query"]),
    ({"inputs": {"query": 5, "before": "x"}}, ["inputs.query", "inputs.before"]),
    (asking(1, filters={"field": "a", "operator": "like", "value": 1}), ["filters.operator"]),
    ({"filters": {}}, ["queries.1.inputs"]),
    ({"inputs": []}, ["queries.1.inputs"]),
    ("text", ["queries.1"]),
]


@pytest.mark.parametrize(("bad", "wrong"), BAD)
def test_one_bad_query_does_not_fail_the_others(
    client: httpx.Client, made: str, bad: Any, wrong: list[str]
) -> None:
    before = len(history(client, made))
    found = results(post(client, made, [asking(1971), bad, asking(1972)]))
    assert [document_ids(each) for each in found] == [ALL[:1], [], ALL[:2]]
    refused = found[1]
    assert "execution_id" not in refused
    assert (refused["status"], refused["error_code"]) == ("failed", "invalid_input")
    errors = refused["error_details"]["validation_errors"]
    assert [".".join(map(str, each["loc"])) for each in errors] == wrong
    assert isinstance(refused["error"], str)
    assert len(history(client, made)) == before + 2


def test_only_bad_queries_are_answered_each(client: httpx.Client, made: str) -> None:
    assert [each["status"] for each in results(post(client, made, [{}, {"inputs": {}}]))] == ["failed"] * 2


def test_sixteen_are_taken_and_a_seventeenth_is_not(client: httpx.Client, made: str) -> None:
    assert len(results(post(client, made, [asking(1970)] * 16))) == 16
    before = history(client, made)
    envelope = check_error(post(client, made, [asking(1970)] * 17), 422)
    assert envelope.error.details is not None
    assert envelope.error.details["limits"] == {"max_queries": 16}
    assert places(envelope) == ["queries"]
    assert history(client, made) == before


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"queries": []}, "queries"),
        ({}, "queries"),
        ({"queries": {"inputs": {}}}, "queries"),
        ({"queries": [{}], "settings": {"limit": 501}}, "settings.limit"),
        ({"queries": [{}], "concurrency": 0}, "concurrency"),
        ({"queries": [{}], "concurrency": 21}, "concurrency"),
        ({"queries": [{}], "concurrency": 4}, "concurrency"),
        ({"queries": [{}], "stream": "yes"}, "stream"),
        ({"queries": [{"inputs": {}}] * 17, "stream": True}, "queries"),
        ({"queries": [{}], "return_presigned_urls": True}, "return_presigned_urls"),
    ],
)
def test_the_batch_refuses(client: httpx.Client, made: str, body: dict[str, Any], place: str) -> None:
    answer = client.post(f"/retrievers/{made}/execute/batch", json=body)
    assert place in places(check_error(answer, 422))


def test_an_unknown_retriever_is_404(client: httpx.Client) -> None:
    check_error(post(client, "unknown", [asking(1)]), 404)


def test_what_is_no_fault_of_the_queries_fails_the_batch(client: httpx.Client) -> None:
    collection = unique("deleted")
    client.post("/collections", json={"collection_name": collection})
    made = retriever(client, BY_YEAR, collection_identifiers=[collection])
    assert client.delete(f"/collections/{collection}").status_code == 200
    envelope = check_error(post(client, made, [{"inputs": {}}] * 2), 404)
    assert "no longer exists" in envelope.error.message
    assert history(client, made) == []


def test_what_has_no_meaning_is_named(client: httpx.Client, made: str) -> None:
    queries = [{**asking(1971), "limit": 3}]
    answer = post(client, made, queries, settings={"max_chunks": 2}, colour=1)
    assert answer.json()["warnings"] == [
        "the key 'colour' is unknown and was ignored",
        "the key 'settings.max_chunks' is unknown and was ignored",
    ]
    assert results(answer)[0]["warnings"] == ["the key 'queries[0].limit' is unknown and was ignored"]


def test_without_a_wait_all_are_pending(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    found = results(post(client, made, [{"inputs": {}}] * 3, prefer="wait=0"))
    assert {each["status"] for each in found} == {"pending"}
    assert len({each["execution_id"] for each in found}) == 3
    service.open(name)
    for each in found:
        poll_until(client, made, each["execution_id"], ended, "the end")


def test_while_the_answer_is_held_no_more_run_than_wanted(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(post, client, made, [{"inputs": {}}] * 4, concurrency=2)
        wait_until(lambda: len(history(client, made)) == 2, 20, "the first two")
        for execution_id in history(client, made):
            poll_until(client, made, execution_id, lambda e: e["status"] == "processing", "its start")
        assert len(history(client, made)) == 2
        service.open(name)
        found = results(held.result())
    assert {each["status"] for each in found} == {"completed"}
    assert len(history(client, made)) == 4


def test_when_the_wait_is_over_the_rest_is_submitted_all_the_same(
    service: Stack, client: httpx.Client
) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    found = results(post(client, made, [{"inputs": {}}] * 3, prefer="wait=0.3", concurrency=1))
    assert len({each["execution_id"] for each in found}) == 3
    assert {each["status"] for each in found} <= {"pending", "processing"}
    service.open(name)
    for each in found:
        poll_until(client, made, each["execution_id"], ended, "the end")


def test_a_repeated_batch_is_the_same_executions(client: httpx.Client) -> None:
    made = retriever(client, search(), collection_identifiers=["books"])
    headers = {"Idempotency-Key": unique("key"), "Prefer": "wait=20"}
    path = f"/retrievers/{made}/execute/batch"
    queries = [{"inputs": {"query": "trains"}}, {"inputs": {"query": "book"}}]
    first = results(client.post(path, json={"queries": queries}, headers=headers))
    again = results(client.post(path, json={"queries": queries}, headers=headers))
    assert [each["execution_id"] for each in again] == [each["execution_id"] for each in first]
    assert len(history(client, made)) == 2
    changed = [queries[0], {"inputs": {"query": "other"}}]
    mixed = results(client.post(path, json={"queries": changed}, headers=headers))
    assert mixed[0]["execution_id"] == first[0]["execution_id"]
    assert mixed[1]["error_code"] == "idempotency_key_reused"


@pytest.mark.parametrize("where", ["body", "query"])
def test_vectors(client: httpx.Client, where: str) -> None:
    collection = unique("vectors")
    client.post("/collections", json={"collection_name": collection})
    namespace = client.headers["X-Namespace"]
    documents = [{"document_id": "d", "payload": {"year": 1}, "vectors": {"v": [0.5]}}]
    body = {"collection_id": collection, "documents": documents}
    assert client.post(f"/namespaces/{namespace}/documents/upsert", json=body).status_code == 200
    made = retriever(client, BY_YEAR, collection_identifiers=[collection])
    over = {"return_vectors": True} if where == "body" else {}
    query = "" if where == "body" else "?return_vectors=true"
    found = results(post(client, made, [{"inputs": {}}], query=query, **over))
    assert found[0]["documents"][0]["payload"]["v"] == [0.5]
    check_error(post(client, made, [{"inputs": {}}], query="?return_presigned_urls=true"), 422)


def test_a_failed_execution_is_a_result(client: httpx.Client) -> None:
    broken = stage("broken", "test_fail", kind="stage")
    made = retriever(client, broken, collection_identifiers=["books"])
    found = results(post(client, made, [{"inputs": {}}]))[0]
    assert found["status"] == "failed" and "this stage always fails" in found["error"]
    assert found["execution_id"] == run_again(client, made, found)


def run_again(client: httpx.Client, made: str, found: dict[str, Any]) -> str:
    execution_id: str = read(client, made, found["execution_id"]).json()["execution_id"]
    return execution_id


def test_the_default_wait_is_that_of_execute(service: Stack, client: httpx.Client, made: str) -> None:
    seen = run(client, made, inputs={"query": "x", "before": 1971})
    answer = client.post(f"/retrievers/{made}/execute/batch", json={"queries": [asking(1971)]})
    first = results(answer)[0]
    assert "preference-applied" not in answer.headers
    assert first["status"] in ("pending", "processing", "completed")
    assert document_ids(poll_until(client, made, first["execution_id"], ended, "the end")) == document_ids(
        seen
    )


def test_a_stream_sends_each_result_as_its_query_ends(service: Stack, client: httpx.Client) -> None:
    names = [unique("slow"), unique("slow")]
    gates = stage("gate", "test_gate", gate="{{INPUT.gate}}")
    made = retriever(client, gates, BY_YEAR, collection_identifiers=["books"])
    queries = [{"inputs": {"gate": names[0]}}, {"inputs": 5}, {"inputs": {"gate": names[1]}}]
    path = f"/retrievers/{made}/execute/batch"
    with executing(client, path, queries=queries, colour=1) as (answer, events):
        assert answer.headers["content-type"] == "text/event-stream"
        refused = next(events)
        service.open(names[1])
        second = next(events)
        service.open(names[0])
        first, end = events
    assert [each.type for each in (refused, second, first)] == ["query_result"] * 3
    assert [each.data["query_index"] for each in (refused, second, first)] == [1, 2, 0]
    assert refused.data["error_code"] == "invalid_input"
    for each in (first, second):
        told = {name: value for name, value in each.data.items() if name not in ("event_type", "query_index")}
        assert told == read(client, made, told["execution_id"]).json()
        assert document_ids(told) == ALL[:10]
    assert end.data == {
        "event_type": "batch_complete",
        "total_queries": 3,
        "warnings": ["the key 'colour' is unknown and was ignored"],
    }


def test_a_stream_runs_no_more_at_once_than_wanted(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    body = {"queries": [{"inputs": {}}] * 3, "concurrency": 1}
    with executing(client, f"/retrievers/{made}/execute/batch", **body) as (_, events):
        wait_until(lambda: len(history(client, made)) == 1, 20, "the first")
        poll_until(client, made, history(client, made)[0], lambda e: e["status"] == "processing", "its start")
        assert len(history(client, made)) == 1
        service.open(name)
        assert [each.data.get("query_index") for each in events] == [0, 1, 2, None]


def test_who_leaves_a_stream_submits_no_more_queries(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    path, headers = f"/retrievers/{made}/execute/batch", {"Idempotency-Key": unique("key")}
    body = {"queries": [{"inputs": {}}] * 2, "concurrency": 1, "stream": True}
    with client.stream("POST", path, json=body, headers=headers) as answer:
        assert answer.status_code == 200
        wait_until(lambda: len(history(client, made)) == 1, 20, "the first")
    only = history(client, made)
    service.open(name)
    poll_until(client, made, only[0], ended, "the end")
    assert history(client, made) == only
    with client.stream("POST", path, json=body, headers=headers) as answer:
        ids = [each.data["execution_id"] for each in events_of(answer) if each.type == "query_result"]
    assert ids[0] == only[0]
    assert len(set(ids)) == 2
