"""The list of a retriever's executions: every status, filters, orders, pages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.check import check_list
from tests.contract.scenes import busy, failing, read, retriever, run, search, unique
from tests.stack import Stack, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")
WORDS = ("trains", "zeppelin", "book", "poetry", "45")


@pytest.fixture(scope="module")
def made(client: httpx.Client, books: str) -> str:
    return retriever(client, search(), collection_identifiers=["books"])


@pytest.fixture(scope="module")
def ids(client: httpx.Client, made: str) -> list[str]:
    """Five executions, one for each of WORDS, newest first."""
    return [run(client, made, inputs={"query": word})["execution_id"] for word in WORDS][::-1]


def listed(client: httpx.Client, made: str, query: str = "", **body: Any) -> list[str]:
    answer = client.post(f"/retrievers/{made}/executions/list{query}", json=body)
    assert answer.status_code == 200, answer.text
    return [line.execution_id for line in check_list(answer.json()).results]


def test_newest_first_with_an_empty_body(client: httpx.Client, made: str, ids: list[str]) -> None:
    answer = client.post(f"/retrievers/{made}/executions/list", headers={"Content-Type": "application/json"})
    assert [line.execution_id for line in check_list(answer.json()).results] == ids


@pytest.mark.parametrize("place", ["query", "body"])
def test_limit_and_offset(client: httpx.Client, made: str, ids: list[str], place: str) -> None:
    def page(**over: int) -> list[str]:
        if place == "body":
            return listed(client, made, **over)
        return listed(client, made, "?" + "&".join(f"{name}={value}" for name, value in over.items()))

    assert page(limit=2) == ids[:2]
    assert page(limit=2, offset=3) == ids[3:]
    assert page(limit=2, page=2) == ids[2:4]
    assert page(offset=100) == []


@pytest.mark.parametrize(
    "body", [{}, {"sorts": [{"field": "query_summary", "direction": "asc"}]}, {"status": "completed"}]
)
def test_all_pages_by_cursor(client: httpx.Client, made: str, ids: list[str], body: dict[str, Any]) -> None:
    whole = listed(client, made, **body)
    seen: list[str] = []
    cursor: str | None = ""
    for _ in range(5):
        query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
        answer = client.post(f"/retrievers/{made}/executions/list{query}", json=body)
        page = answer.json()
        seen += [line["execution_id"] for line in page["results"]]
        cursor = page["pagination"]["next_cursor"]
        assert page["pagination"]["has_next"] is (cursor is not None)
        assert ("link" in answer.headers) is (cursor is not None)
        if cursor is None:
            break
    assert seen == whole
    assert set(whole) == set(ids)


@pytest.mark.parametrize("field", ["status", "filters"])
def test_a_status_is_the_same_question_as_a_field_and_as_a_filter(
    client: httpx.Client, made: str, ids: list[str], field: str
) -> None:
    """Both are answered by the index: a cursor of one goes on with the other."""
    plain = client.post(f"/retrievers/{made}/executions/list?limit=2", json={"status": "completed"}).json()
    condition = {"field": "status", "operator": "eq", "value": "completed"}
    trees = [{"status": "completed"}, condition, {"AND": [condition]}, {"OR": [{"AND": [condition]}]}]
    for tree in trees:
        page = client.post(f"/retrievers/{made}/executions/list?limit=2", json={"filters": tree}).json()
        assert page["results"] == plain["results"]
        following = f"?limit=2&cursor={page['pagination']['next_cursor']}"
        assert listed(client, made, following, status="completed") == ids[2:4]
    order = [{"field": "created_at", "direction": "desc"}]
    assert listed(client, made, status="completed", sorts=order) == ids
    assert listed(client, made, status="failed", filters=condition) == []


def test_a_cursor_belongs_to_its_question(client: httpx.Client, made: str, ids: list[str]) -> None:
    page = client.post(f"/retrievers/{made}/executions/list?limit=2").json()
    cursor = page["pagination"]["next_cursor"]
    for path, body in (
        (made, {"status": "completed"}),
        (made, {"filters": {"status": "completed"}}),
        (retriever(client, search("trains")), {}),
    ):
        answer = client.post(f"/retrievers/{path}/executions/list?cursor={cursor}", json=body)
        assert answer.status_code == 400, answer.text


def test_filters_and_sorts(client: httpx.Client, made: str, ids: list[str]) -> None:
    by_word = dict(zip(WORDS, ids[::-1], strict=True))
    assert listed(client, made, filters={"query_summary": "book"}) == [by_word["book"]]
    found = {"field": "total_returned", "operator": "gt", "value": 0}
    assert set(listed(client, made, filters=found)) == {
        by_word[word] for word in ("trains", "book", "poetry")
    }
    nothing_found = listed(client, made, filters={"NOT": [found]}, sorts=[{"field": "query_summary"}])
    assert nothing_found == [by_word["45"], by_word["zeppelin"]]
    both = [{"field": "total_returned", "direction": "desc"}, {"field": "query_summary", "direction": "desc"}]
    assert listed(client, made, sorts=both) == [
        by_word[word] for word in ("trains", "book", "poetry", "zeppelin", "45")
    ]
    assert listed(client, made, filters={"query_summary": "BOOK"}) == [by_word["book"]]
    assert listed(client, made, filters={"query_summary": "BOOK"}, case_sensitive=True) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "completed"},
        {"sorts": [{"field": "query_summary"}]},
        {"filters": {"query_summary": "zeppelin"}},
    ],
)
def test_pages_do_not_move_while_new_ones_arrive(client: httpx.Client, body: dict[str, Any]) -> None:
    made = retriever(client, search("trains"))
    for _ in range(3):
        run(client, made, inputs={"query": "zeppelin"})
    whole = listed(client, made, **body)
    seen: list[str] = []
    query = "?limit=1"
    for _ in range(len(whole)):
        answer = client.post(f"/retrievers/{made}/executions/list{query}", json=body).json()
        seen += [line["execution_id"] for line in answer["results"]]
        run(client, made, inputs={"query": "zeppelin"})
        query = f"?limit=1&cursor={answer['pagination']['next_cursor']}"
    assert seen == whole
    assert answer["pagination"]["has_next"] is False


def test_a_malformed_field_of_an_order_is_refused(client: httpx.Client, made: str) -> None:
    answer = client.post(f"/retrievers/{made}/executions/list", json={"sorts": [{"field": "a..b"}]})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["validation_errors"][0]["loc"] == ["sorts", 0, "field"]


def test_every_status_has_its_list(service: Stack, client: httpx.Client) -> None:
    """The same execution moves from list to list; `running` is another word for processing."""
    name = unique("slow")
    made = retriever(client, gate(name), failing(on_error="skip"))

    def where(execution_id: str) -> list[str]:
        words = ("pending", "processing", "running", "completed", "degraded", "failed", "cancelled")
        return [word for word in words if execution_id in listed(client, made, status=word)]

    with busy(service, client):
        execution_id = execute(client, made)
        assert where(execution_id) == ["pending"]
    poll_until(client, made, execution_id, lambda e: e["status"] == "processing", "its start")
    assert where(execution_id) == ["processing", "running"]
    running = listed(client, made, filters={"status": "processing"})
    assert running == [execution_id]
    service.open(name)
    poll_until(client, made, execution_id, lambda e: e["status"] == "degraded", "the end")
    assert where(execution_id) == ["degraded"]


def test_failed_ones_are_listed_as_failed(client: httpx.Client) -> None:
    made = retriever(client, failing())
    execution_id = run(client, made)["execution_id"]
    assert listed(client, made, status="failed") == [execution_id]
    assert listed(client, made, status="completed") == []


def test_a_line_agrees_with_its_execution(client: httpx.Client, made: str, ids: list[str]) -> None:
    answer = client.post(f"/retrievers/{made}/executions/list", json={"limit": 5}).json()
    for line in answer["results"]:
        whole = read(client, made, line["execution_id"]).json()
        for name in ("status", "created_at", "completed_at", "inputs_hash", "total_returned", "retriever_id"):
            assert line[name] == whole[name]
        assert line["credits_used"] == whole["budget"]["credits_used"]
        stages = whole["stage_statistics"]["stages"].values()
        assert line["total_processed"] == sum(max(s["input_count"], s["output_count"]) for s in stages)
