"""Ad-hoc executions: run, poll, page, history; nothing else is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_adhoc, check_error, check_execution, places
from tests.contract.models import AdhocList
from tests.contract.scenes import (
    ALL,
    BY_YEAR,
    busy,
    document_ids,
    expire,
    failing,
    keep,
    read,
    retriever,
    run,
    search,
    stage,
    unique,
    write,
)
from tests.stack import Stack, gate
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("books")


def post(
    client: httpx.Client, *stages: dict[str, Any], prefer: str = "wait=20", **body: Any
) -> httpx.Response:
    """Executes ad hoc, on `books` unless told otherwise, and waits for the end."""
    sent = {"stages": list(stages), "collection_identifiers": ["books"], **body}
    return client.post("/retrievers/execute", json=sent, headers={"Prefer": prefer})


def adhoc(client: httpx.Client, *stages: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = post(client, *stages, **body)
    assert answer.status_code == 200, answer.text
    execution: dict[str, Any] = answer.json()
    return execution


def get(client: httpx.Client, execution_id: str, **headers: str) -> httpx.Response:
    return client.get(f"/retrievers/executions/{execution_id}", headers=headers)


def listed(client: httpx.Client, query: str = "", **body: Any) -> AdhocList:
    answer = client.post(f"/retrievers/executions/list{query}", json=body)
    assert answer.status_code == 200, answer.text
    return AdhocList.model_validate(answer.json())


@pytest.fixture
def fresh(service: Stack) -> Iterator[httpx.Client]:
    """A client in a namespace without history, with three books."""
    with service.namespace(unique("adhoc")) as client:
        client.post("/collections", json={"collection_name": "books"})
        write(client, "books", [{"document_id": f"d{n}", "text": "trains", "year": n} for n in range(3)])
        yield client


# Running


def test_it_runs_and_says_that_it_is_adhoc(client: httpx.Client, books: str) -> None:
    answer = post(client, search(), inputs={"query": "trains", "top_k": 3}, limit=5)
    seen = answer.json()
    assert answer.headers["x-execution-mode"] == "adhoc"
    assert answer.headers["location"] == f"/v1/retrievers/executions/{seen['execution_id']}"
    assert check_execution(seen).status == "completed"
    assert len(seen["documents"]) == 5
    detail = check_adhoc(seen)
    assert (detail.total_stages, detail.stages_completed, detail.total_returned) == (1, 1, 5)
    assert (detail.query_summary, detail.collection_ids, detail.cache_hit_rate) == ("trains", [books], 0.0)
    assert json.loads(detail.inputs or "") == {"query": "trains", "top_k": 3}
    canonical = json.dumps({"query": "trains", "top_k": 3}, sort_keys=True, separators=(",", ":"))
    assert detail.inputs_hash == hashlib.sha1(canonical.encode()).hexdigest()
    assert (seen["retriever_id"], seen["cache_status"]) == ("", "disabled")
    assert seen["execution_metadata"] == {"retriever_persisted": False}
    assert seen["interpretation"]["ignored_input_keys"] == ["top_k"]
    polled = get(client, seen["execution_id"])
    assert polled.headers["x-execution-mode"] == "adhoc"
    assert polled.json() == seen


def test_no_retriever_and_no_definition_is_left(service: Stack, fresh: httpx.Client) -> None:
    with connect(service.redis_url) as server:
        before = set(server.keys("*"))  # type: ignore[arg-type]
        seen = adhoc(fresh, BY_YEAR)
        namespace = fresh.get(f"/namespaces/{fresh.headers['X-Namespace']}").json()["namespace_id"]
        made = {key.decode() for key in set(server.keys("*")) - before}  # type: ignore[arg-type]
        kept = server.hgetall(keys.execution(seen["execution_id"]))
    beside = ("kennel:seq", "kennel:marks", "_kombu", "kennel:books", "kennel:metrics", "kennel:flushed")
    assert {key for key in made if not key.startswith(beside)} == {
        keys.execution(seen["execution_id"]),
        keys.summary(seen["execution_id"]),
        keys.history(f"adhoc_{namespace}"),
        keys.history(f"adhoc_{namespace}", "completed"),
    }
    assert b"definition" not in kept
    assert fresh.get("/retrievers").json()["total"] == 0


def test_it_is_polled_like_any_other(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    answer = post(client, gate(name), BY_YEAR, prefer="respond-async", inputs={"query": "x"})
    execution_id = answer.json()["execution_id"]
    assert (answer.status_code, answer.headers["location"]) == (
        202, f"/v1/retrievers/executions/{execution_id}",
    )  # fmt: skip
    running = wait_until(
        lambda: (seen := get(client, execution_id)).json()["status"] == "processing" and seen, 20, "its start"
    )
    detail = check_adhoc(running.json())
    assert (detail.stages_completed, detail.total_stages, detail.total_returned) == (0, 2, 0)
    etag = running.headers["etag"]
    assert get(client, execution_id, **{"If-None-Match": etag}).status_code == 304
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(get, client, execution_id, Prefer="wait=20")
        service.open(name)
        ended = held.result()
    assert check_adhoc(ended.json()).status == "completed"
    assert ended.headers["etag"] != etag


def test_a_pending_one_says_why_it_waits(service: Stack, client: httpx.Client) -> None:
    with busy(service, client):
        seen = adhoc(client, BY_YEAR, prefer="wait=0")
        assert (seen["status"], seen["wait_reason"]) == ("pending", "queued")
        pending = check_adhoc(get(client, seen["execution_id"]).json())
        assert (pending.duration_ms, pending.total_processed) == (0, 0)
    ended = get(client, seen["execution_id"], Prefer="wait=20").json()
    assert check_adhoc(ended).status == "completed"


def test_a_failed_and_a_degraded_one(client: httpx.Client) -> None:
    failed = adhoc(client, search("trains"), failing())
    assert check_adhoc(failed).status == "failed"
    assert "this stage always fails" in failed["error"]
    degraded = adhoc(client, search("trains"), failing(on_error="skip"), inputs=None)
    assert check_adhoc(degraded).status == "degraded"


def test_a_namespace_as_a_whole_filters_and_schema(client: httpx.Client) -> None:
    schema = {"query": {"type": "string", "required": True}, "genre": {"type": "string", "default": "crime"}}
    keep_genre = keep("genre", "eq", "{{INPUT.genre}}")
    body = {"input_schema": schema, "inputs": {"query": "trains"}, "collection_ids": []}
    del_books = {**body, "collection_identifiers": []}
    seen = adhoc(client, search(), keep_genre, **del_books)
    assert {each["payload"]["genre"] for each in seen["documents"]} == {"crime"}
    assert seen["interpretation"]["inferred_inputs"] == {"genre": "crime"}
    narrowed = adhoc(client, BY_YEAR, pre_filters={"field": "year", "operator": "lt", "value": 1973})
    assert document_ids(narrowed) == ALL[:3]


def test_a_budget_is_kept(client: httpx.Client) -> None:
    seen = adhoc(client, search("trains"), BY_YEAR, budget_limits={"max_credits": 0.001})
    assert (seen["status"], seen["budget"]["max_credits"]) == ("failed", 0.001)
    assert "max_credits exceeded" in seen["error"]


def test_all_pages_are_the_whole_result(client: httpx.Client) -> None:
    first = adhoc(client, BY_YEAR, limit=20)
    by_get = get(client, first["execution_id"]).json()["pagination"]["cursor"]
    assert by_get == first["pagination"]["cursor"]
    second = adhoc(client, BY_YEAR, pagination={"method": "cursor", "cursor": by_get})
    last = client.get(f"/retrievers/executions/{first['execution_id']}?offset=40&limit=20").json()
    assert document_ids(first) + document_ids(second) + document_ids(last) == ALL
    assert {each["execution_id"] for each in (first, second, last)} == {first["execution_id"]}
    for page in (second, last):
        check_adhoc(page)


# Refusals


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "stages"),
        ({"stages": []}, "stages"),
        ({"stages": [stage("s", "no_such_stage")]}, "stages.0.config.stage_id"),
        ({"stages": [stage("s", "sort_attribute", field=5)]}, "stages.0.config.parameters.field"),
        ({"stages": [BY_YEAR, BY_YEAR]}, "stages.1.stage_name"),
        ({"stages": [BY_YEAR], "input_schema": {"query": {"type": "colour"}}}, "input_schema.query.type"),
        ({"stages": [BY_YEAR], "input_schema": {"q": {"type": "string", "required": True}}}, "inputs.q"),
        ({"stages": [BY_YEAR], "budget_limits": {"max_credits": -1}}, "budget_limits.max_credits"),
        (
            {"stages": [BY_YEAR], "filters": {"field": "a", "operator": "like", "value": 1}},
            "filters.operator",
        ),
        ({"stages": [BY_YEAR], "stream": "yes"}, "stream"),
        ({"stages": [BY_YEAR], "limit": 0}, "limit"),
    ],
)
def test_a_refused_one_leaves_nothing(fresh: httpx.Client, body: dict[str, Any], place: str) -> None:
    assert place in places(check_error(fresh.post("/retrievers/execute", json=body), 422))
    assert listed(fresh).total == 0


def test_what_has_no_meaning_is_named(client: httpx.Client) -> None:
    seen = adhoc(client, {**BY_YEAR, "colour": 1}, skip_cache=True)
    assert seen["warnings"] == [
        "the key 'skip_cache' is unknown and was ignored",
        "the key 'stages[0].colour' is unknown and was ignored",
    ]


def test_an_unknown_collection_is_404(client: httpx.Client) -> None:
    check_error(post(client, BY_YEAR, collection_identifiers=["books", "nowhere"]), 404)


def test_the_two_kinds_do_not_find_each_other(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    of_a_retriever = run(client, made)["execution_id"]
    ad_hoc = adhoc(client, BY_YEAR)["execution_id"]
    assert check_error(get(client, of_a_retriever), 404).error.type == "NotFoundError"
    check_error(read(client, made, ad_hoc), 404)
    namespace = client.get(f"/namespaces/{client.headers['X-Namespace']}").json()["namespace_id"]
    check_error(read(client, f"adhoc_{namespace}", ad_hoc), 404)
    check_error(client.post(f"/retrievers/adhoc_{namespace}/executions/list"), 404)
    with service.namespace(unique("stranger")) as stranger:
        check_error(get(stranger, ad_hoc), 404)
        assert listed(stranger).total == 0


def test_an_expired_one_is_gone(service: Stack, client: httpx.Client) -> None:
    execution_id = adhoc(client, BY_YEAR)["execution_id"]
    expire(service, execution_id)
    assert check_error(get(client, execution_id), 410).error.details is not None
    with service.namespace(unique("stranger")) as stranger:
        check_error(get(stranger, execution_id), 404)


# Idempotency


def test_thirty_at_once_with_one_key_are_one_execution(fresh: httpx.Client) -> None:
    headers = {"Idempotency-Key": unique("key"), "Prefer": "wait=20"}
    body = {"stages": [BY_YEAR]}
    with ThreadPoolExecutor(30) as pool:
        answers = list(
            pool.map(
                lambda _: fresh.post("/retrievers/execute", json=body, headers=headers).json(), range(30)
            )
        )
    assert len({each["execution_id"] for each in answers}) == 1
    assert {each["status"] for each in answers} == {"completed"}
    assert listed(fresh).total == 1
    other = fresh.post("/retrievers/execute", json={**body, "limit": 3}, headers=headers)
    assert check_error(other, 422).error.code == "idempotency_key_reused"


# The end of a namespace


def test_a_deleted_namespace_cancels_what_waits(service: Stack, client: httpx.Client) -> None:
    with service.namespace(unique("deleted")) as doomed:
        namespace = doomed.headers["X-Namespace"]
        with busy(service, client):
            answer = doomed.post("/retrievers/execute", json={"stages": [BY_YEAR]})
            execution_id = answer.json()["execution_id"]
            assert doomed.delete(f"/namespaces/{namespace}").status_code == 200
            with connect(service.redis_url) as server:
                status = wait_until(
                    lambda: (
                        server.hget(keys.execution(execution_id), "status") != b"pending"
                        and server.hget(keys.execution(execution_id), "status")
                    ),
                    20,
                    "its cancellation",
                )
        assert status == b"cancelled"
        check_error(doomed.post("/retrievers/execute", json={"stages": [BY_YEAR]}), 404)


# History


def test_a_link_leads_to_the_next_page_of_the_history(fresh: httpx.Client) -> None:
    first, second = (adhoc(fresh, BY_YEAR)["execution_id"] for _ in range(2))
    page = fresh.post("/retrievers/executions/list?limit=1")
    further = fresh.post(f"/retrievers/executions/list{page.links['next']['url']}")
    assert [each["execution_id"] for each in page.json()["results"]] == [second]
    assert [each["execution_id"] for each in further.json()["results"]] == [first]
    assert further.links == {}


def test_the_history_is_newest_first(fresh: httpx.Client) -> None:
    first = adhoc(fresh, search(), inputs={"query": "trains"})
    second = adhoc(fresh, BY_YEAR, failing())
    page = listed(fresh)
    assert [each.execution_id for each in page.results] == [second["execution_id"], first["execution_id"]]
    assert page.total == 2
    done = page.results[1]
    assert (done.status, done.query_summary, done.stages_completed, done.total_stages) == (
        "completed", "trains", 1, 1,
    )  # fmt: skip
    assert (done.total_returned, done.collection_ids) == (3, check_adhoc(first).collection_ids)
    assert "inputs" not in (done.model_extra or {}) and "inputs_hash" not in (done.model_extra or {})
    failed = page.results[0]
    assert (failed.status, failed.stages_completed, failed.total_stages) == ("failed", 1, 2)


def test_the_history_by_status(service: Stack, client: httpx.Client, fresh: httpx.Client) -> None:
    name = unique("slow")
    running = adhoc(fresh, gate(name), prefer="wait=0")["execution_id"]
    adhoc(fresh, BY_YEAR)
    wait_until(lambda: get(fresh, running).json()["status"] == "processing", 20, "its start")
    for status in ("processing", "running"):
        assert [each.execution_id for each in listed(fresh, status=status).results] == [running]
    assert listed(fresh, status="failed").total == 0
    assert listed(fresh, status="completed").total == 1
    service.open(name)
    get(fresh, running, Prefer="wait=20")
    assert listed(fresh, status="completed").total == 2


def test_the_history_between_two_times(fresh: httpx.Client) -> None:
    made = [adhoc(fresh, BY_YEAR) for _ in range(3)]
    times = [datetime.fromisoformat(each["created_at"]) for each in made]
    second = made[1]["created_at"]
    just_before = (times[1] - timedelta(milliseconds=1)).isoformat()
    assert listed(fresh, start_time=second).total == 2
    assert listed(fresh, end_time=second).total == 2
    assert listed(fresh, start_time=second, end_time=second).total == 1
    assert listed(fresh, end_time=just_before).total == 1
    naive = times[2].astimezone(UTC).replace(tzinfo=None).isoformat()
    assert listed(fresh, start_time=naive).total == 1
    assert listed(fresh, start_time="2000-01-01T00:00:00Z", end_time="2001-01-01T00:00:00Z").results == []


def test_only_the_count(fresh: httpx.Client) -> None:
    for _ in range(2):
        adhoc(fresh, BY_YEAR)
    counted = listed(fresh, count_only=True)
    assert (counted.results, counted.total) == ([], 2)
    assert fresh.post("/retrievers/executions/list").json()["total"] == 2  # an empty body


def test_the_history_in_pages(fresh: httpx.Client) -> None:
    made = [adhoc(fresh, BY_YEAR)["execution_id"] for _ in range(5)][::-1]
    assert [each.execution_id for each in listed(fresh, "?limit=2&offset=1").results] == made[1:3]
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = listed(fresh, f"?limit=2{cursor}")
        seen += [each.execution_id for each in page.results]
        assert page.pagination is not None
        assert page.pagination["has_next"] == (len(seen) < 5)
        cursor = f"&cursor={page.pagination['next_cursor']}"
    assert seen == made


@pytest.mark.parametrize(
    ("query", "body", "status", "place"),
    [
        ("", {"status": "finished"}, 422, "status"),
        ("", {"start_time": "yesterday"}, 422, "start_time"),
        ("", {"count_only": "maybe"}, 422, "count_only"),
        ("?limit=0", {}, 422, "query.limit"),
        ("?cursor=x", {}, 400, ""),
    ],
)
def test_the_list_refuses(
    client: httpx.Client, query: str, body: dict[str, Any], status: int, place: str
) -> None:
    envelope = check_error(client.post(f"/retrievers/executions/list{query}", json=body), status)
    assert place in [*places(envelope), ""]
