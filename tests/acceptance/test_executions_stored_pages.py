"""Pages of a stored result by GET, and what execute adds to documents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared import keys
from shared.documents.write_token import make_write_token
from shared.models.execution import ExecutionRequest
from shared.redis_sync import connect
from tests.contract.check import check_error, check_execution
from tests.contract.scenes import (
    ALL,
    BY_YEAR,
    busy,
    document_ids,
    expire,
    read,
    retriever,
    run,
    search,
    unique,
)
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


def get_page(client: httpx.Client, made: str, execution_id: str, **query: Any) -> httpx.Response:
    return client.get(f"/retrievers/{made}/executions/{execution_id}", params=query)


@pytest.fixture(scope="module", params=[10, 100], ids=["several pages", "one page"])
def execution(client: httpx.Client, by_year: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """An ended execution whose result is stored apart, and one whose answer holds all of it."""
    return run(client, by_year, limit=request.param)


@pytest.mark.parametrize(
    ("query", "expected", "method"),
    [
        ({"limit": 7}, ALL[:7], "cursor"),
        ({"page_size": 7}, ALL[:7], "cursor"),
        ({"method": "CURSOR"}, ALL[:20], "cursor"),
        ({"limit": 7, "offset": 40}, ALL[40:], "offset"),
        ({"limit": 7, "page": 2}, ALL[7:14], "offset"),
        ({"page_size": 7, "page_number": 7}, ALL[42:], "offset"),
        ({"method": "offset"}, ALL[:10], "offset"),
        ({"offset": 45}, [], "offset"),
        ({"method": "scroll", "limit": 30}, ALL[:30], "scroll"),
        ({"method": "scroll", "limit": 1000}, ALL, "scroll"),
        ({"limit": 500}, ALL, "cursor"),
    ],
)
def test_a_page_of_the_stored_result(
    client: httpx.Client,
    by_year: str,
    execution: dict[str, Any],
    query: dict[str, Any],
    expected: list[str],
    method: str,
) -> None:
    page = get_page(client, by_year, execution["execution_id"], **query).json()
    check_execution(page)
    assert document_ids(page) == expected
    assert (page["pagination"]["method"], page["pagination"]["total"]) == (method, 45)
    assert page["pagination"]["has_next"] == (bool(expected) and expected[-1] != ALL[-1])
    unpaged = {"documents", "total_returned", "pagination"}
    assert {k: v for k, v in page.items() if k not in unpaged} == {
        k: v for k, v in execution.items() if k not in unpaged
    }


@pytest.mark.parametrize("alias", ["cursor", "next_cursor", "after"])
def test_a_cursor_goes_on_by_get(
    client: httpx.Client, by_year: str, execution: dict[str, Any], alias: str
) -> None:
    page = get_page(client, by_year, execution["execution_id"], limit=20).json()
    seen = document_ids(page)
    for _ in range(2):
        query = {alias: page["pagination"]["cursor"]}
        page = get_page(client, by_year, execution["execution_id"], **query).json()
        seen += document_ids(page)
    assert (seen, page["pagination"]["cursor"]) == (ALL, None)


def test_a_scroll_goes_on_by_get(client: httpx.Client, by_year: str, execution: dict[str, Any]) -> None:
    page = get_page(client, by_year, execution["execution_id"], method="scroll", limit=30).json()
    rest = get_page(client, by_year, execution["execution_id"], scroll_id=page["pagination"]["scroll_id"])
    assert document_ids(page) + document_ids(rest.json()) == ALL


def test_a_token_of_another_execution_or_none_is_refused(
    client: httpx.Client, by_year: str, execution: dict[str, Any]
) -> None:
    other = run(client, by_year, limit=5)
    foreign = {"cursor": other["pagination"]["cursor"]}
    envelope = check_error(get_page(client, by_year, execution["execution_id"], **foreign), 400)
    assert other["execution_id"] in envelope.error.message
    check_error(get_page(client, by_year, execution["execution_id"], cursor="x"), 400)
    check_error(get_page(client, by_year, execution["execution_id"], scroll_id="x"), 404)


def test_a_further_page_says_what_had_no_effect(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, limit=10)
    token = {"pagination": {"method": "cursor", "cursor": first["pagination"]["cursor"]}}
    told = [
        client.post(f"/retrievers/{by_year}/execute", json={**token, **more}).json()["warnings"]
        for more in ({}, {"inputs": {}, "filters": None}, {"filters": {"AND": []}, "strange": 1})
    ]
    assert told[:2] == [[], []]
    assert [each.split(":")[0] for each in told[2]] == [
        "the key 'strange' is unknown and was ignored",
        "a further page is read from the stored result",
    ]
    assert told[2][1].endswith("filters had no effect")


@pytest.mark.parametrize("method", ["cursor", "scroll"])
def test_a_token_of_a_result_opens_no_list(client: httpx.Client, by_year: str, method: str) -> None:
    paging = run(client, by_year, pagination={"method": method, "limit": 5})["pagination"]
    token = paging["cursor" if method == "cursor" else "scroll_id"]
    lists = (f"retrievers/{by_year}/executions", "retrievers/executions", "retrievers", "collections")
    for path in (*lists, "collections/books/documents"):
        check_error(client.post(f"/{path}/list", params={"cursor": token}), 400)


def test_without_a_result_there_is_nothing_to_cut(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name), collection_identifiers=["books"])
    execution_id = execute(client, made, limit=5)
    running = get_page(client, made, execution_id, limit=2, offset=4).json()
    assert (running["documents"], running["pagination"]["limit"]) == ([], 5)
    service.open(name)
    poll_until(client, made, execution_id, ended, "the end")
    assert document_ids(get_page(client, made, execution_id, limit=2, offset=4).json()) == ALL[4:6]


def test_an_expired_result_is_gone_for_every_page(service: Stack, client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, limit=10)
    expire(service, first["execution_id"])
    check_error(get_page(client, by_year, first["execution_id"], limit=5), 410)


def test_a_page_has_the_etag_of_its_execution(
    client: httpx.Client, by_year: str, execution: dict[str, Any]
) -> None:
    page = get_page(client, by_year, execution["execution_id"], limit=5)
    assert page.headers["etag"] == f'"{execution["revision"]}"'


# What execute adds


def test_the_old_name_of_documents(client: httpx.Client, by_year: str, execution: dict[str, Any]) -> None:
    page = get_page(client, by_year, execution["execution_id"], include_legacy_results="true", limit=3).json()
    assert page["results"] == page["documents"] != []
    assert "results" not in read(client, by_year, execution["execution_id"]).json()
    answer = client.post(
        f"/retrievers/{by_year}/execute?include_legacy_results=true", headers={"Prefer": "wait=20"}
    ).json()
    assert answer["results"] == answer["documents"]
    assert len(answer["results"]) == 20


@pytest.fixture(scope="module")
def linked(client: httpx.Client) -> str:
    """Id of a retriever over three documents with vectors, each naming the one before it."""
    client.post("/collections", json={"collection_name": "linked"})
    documents = [
        {"document_id": f"d{n}", "payload": {"year": n, "before": f"d{n - 1}"}, "vectors": {"v": [n, 0.5]}}
        for n in range(3)
    ]
    namespace = client.headers["X-Namespace"]
    body = {"collection_id": "linked", "documents": documents}
    assert client.post(f"/namespaces/{namespace}/documents/upsert", json=body).status_code == 200
    return retriever(client, BY_YEAR, collection_identifiers=["linked"])


def test_expanded_documents_are_on_every_page(client: httpx.Client, linked: str) -> None:
    first = run(client, linked, expand=["before"], limit=1)
    assert first["documents"][0]["_expanded"] == {}
    second = get_page(client, linked, first["execution_id"], offset=1, limit=1).json()
    expanded = second["documents"][0]["_expanded"]["before"]
    assert (expanded["document_id"], expanded["year"], expanded["before"]) == ("d0", 0, "d-1")
    assert expanded.keys() >= {"collection_id", "_internal"}


@pytest.mark.parametrize("where", ["body", "query"])
def test_vectors_in_the_payload(client: httpx.Client, linked: str, where: str) -> None:
    body, query = ({"return_vectors": True}, "") if where == "body" else ({}, "?return_vectors=true")
    headers = {"Prefer": "wait=20"}
    seen = client.post(f"/retrievers/{linked}/execute{query}", json=body, headers=headers).json()
    assert [each["payload"]["v"] for each in seen["documents"]] == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]
    assert "v" not in run(client, linked)["documents"][0]["payload"]


def test_the_worker_is_told_how_fresh_it_must_be(
    service: Stack, client: httpx.Client, books: str, by_year: str
) -> None:
    consistency = {"mode": "eventual", "max_staleness_ms": 250}
    token = make_write_token(books, 1)
    with busy(service, client), connect(service.redis_url) as server:
        execution_id = execute(client, by_year, consistency=consistency, write_token=token, expand=["a.b"])
        stored = server.hget(keys.execution(execution_id), "request")
    request = ExecutionRequest.from_json(stored)  # type: ignore[arg-type]
    assert (request.consistency, request.write_token, request.expand) == (consistency, token, ["a.b"])
    poll_until(client, by_year, execution_id, ended, "its turn")


def test_accepted_without_effect(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    consistency = {"mode": "eventual", "max_staleness_ms": 0}
    seen = run(client, made, skip_cache=True, consistency=consistency, settings={"a": 1})
    assert (seen["status"], seen["warnings"], seen["cache_hit"]) == ("completed", [], False)
