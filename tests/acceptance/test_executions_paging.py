"""Pages of a result, results that have expired, whose execution it is, and the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.contract.check import check_error, check_execution, check_list
from tests.contract.scenes import (
    ALL,
    document_ids,
    expire,
    post_execute,
    read,
    retriever,
    run,
    search,
    unique,
)
from tests.stack import Stack, execute

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture(scope="module")
def stranger(service: Stack, client: httpx.Client) -> Iterator[httpx.Client]:
    """A client in another namespace."""
    with service.namespace(unique("stranger")) as other:
        yield other


def next_page(
    client: httpx.Client, made: str, execution: dict[str, Any], **pagination: Any
) -> httpx.Response:
    cursor = execution["pagination"]["cursor"]
    return post_execute(client, made, {"pagination": {"method": "cursor", "cursor": cursor, **pagination}})


# Cursor


@pytest.mark.parametrize("limit", [7, 20, 44, 45, 500])
def test_all_pages_by_cursor_are_the_whole_result(client: httpx.Client, by_year: str, limit: int) -> None:
    page = run(client, by_year, pagination={"method": "cursor", "limit": limit})
    first, seen = page, document_ids(page)
    for _ in range(10):
        if page["pagination"]["cursor"] is None:
            break
        assert page["pagination"]["has_next"] is True
        answer = next_page(client, by_year, page)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        check_execution(page)
        seen += document_ids(page)
        assert page["execution_id"] == first["execution_id"]
        assert page["budget"] == first["budget"]
        assert page["pagination"]["total"] == 45
    assert seen == ALL
    assert page["pagination"]["has_next"] is False


def test_the_default_page_is_twenty_by_cursor(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year)
    assert first["pagination"]["method"] == "cursor"
    assert document_ids(first) == ALL[:20]
    assert document_ids(next_page(client, by_year, first).json()) == ALL[20:40]


def test_a_cursor_can_be_used_again_and_with_another_limit(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, limit=10)
    assert document_ids(next_page(client, by_year, first).json()) == ALL[10:20]
    assert document_ids(next_page(client, by_year, first, limit=3).json()) == ALL[10:13]
    assert document_ids(next_page(client, by_year, first).json()) == ALL[10:20]


def test_further_pages_leave_no_execution(client: httpx.Client) -> None:
    made = retriever(client, search("trains", final_top_k=45), collection_identifiers=["books"])
    first = run(client, made, limit=10)
    next_page(client, made, first)
    assert client.post(f"/retrievers/{made}/executions/list").json()["pagination"]["total"] == 1


def test_a_forged_cursor_is_400(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, limit=10)
    cursor = first["pagination"]["cursor"]
    for position in (0, len(cursor) // 2, len(cursor) - 2):
        swapped = "A" if cursor[position] != "A" else "B"
        first["pagination"]["cursor"] = cursor[:position] + swapped + cursor[position + 1 :]
        check_error(next_page(client, by_year, first), 400)


def test_a_list_cursor_is_no_result_cursor(client: httpx.Client, by_year: str) -> None:
    for _ in range(2):
        execute(client, by_year)
    listed = client.post(f"/retrievers/{by_year}/executions/list?limit=1").json()
    check_error(
        next_page(client, by_year, listed | {"pagination": {"cursor": listed["pagination"]["next_cursor"]}}),
        400,
    )


def test_a_cursor_is_of_no_use_elsewhere(client: httpx.Client, stranger: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, limit=10)
    other = retriever(client, search("trains"), collection_identifiers=["books"])
    check_error(next_page(client, other, first), 404)
    check_error(next_page(stranger, by_year, first), 404)
    check_error(next_page(stranger, retriever(stranger, search("trains")), first), 404)


# Offset


@pytest.mark.parametrize(
    ("number", "expected", "has_next"), [(1, ALL[:20], True), (3, ALL[40:], False), (9, [], False)]
)
def test_pages_by_number(
    client: httpx.Client, by_year: str, number: int, expected: list[str], has_next: bool
) -> None:
    page = run(client, by_year, pagination={"method": "offset", "page_size": 20, "page_number": number})
    check_execution(page)
    assert document_ids(page) == expected
    assert (page["pagination"]["has_next"], page["pagination"]["has_previous"]) == (has_next, number > 1)
    assert page["pagination"]["total"] == 45


def test_pagination_wins_over_limit_and_says_so(client: httpx.Client, by_year: str) -> None:
    page = run(client, by_year, limit=3, pagination={"method": "OFFSET", "page_size": 4})
    assert len(page["documents"]) == 4
    assert any("limit" in warning for warning in page["warnings"])


# Expiry


def test_an_expired_result_is_gone_and_leaves_its_tombstone(
    service: Stack, client: httpx.Client, by_year: str
) -> None:
    first = run(client, by_year, limit=10)
    expire(service, first["execution_id"])
    envelope = check_error(read(client, by_year, first["execution_id"]), 410)
    assert envelope.error.details is not None
    assert envelope.error.details["status"] == "completed"
    assert envelope.error.details["total_returned"] == 10
    check_error(next_page(client, by_year, first), 410)
    check_error(read(client, by_year, first["execution_id"], Prefer="wait=5"), 410)
    listed = check_list(client.post(f"/retrievers/{by_year}/executions/list").json())
    assert first["execution_id"] in [line.execution_id for line in listed.results]


def test_an_expired_result_is_unknown_to_everybody_else(
    service: Stack, client: httpx.Client, stranger: httpx.Client, by_year: str
) -> None:
    execution_id = run(client, by_year)["execution_id"]
    expire(service, execution_id)
    other = retriever(client, search("trains"), collection_identifiers=["books"])
    check_error(read(client, other, execution_id), 404)
    check_error(read(stranger, by_year, execution_id), 404)


# Whose it is


def test_an_execution_is_found_by_its_retrievers_name(client: httpx.Client) -> None:
    name = unique("by name/with a slash")
    made = client.post("/retrievers", json={"retriever_name": name, "stages": [search("trains")]}).json()
    execution_id = run(client, made["retriever_id"], collection_identifiers=["books"])["execution_id"]
    path = f"/retrievers/{name.replace(' ', '%20').replace('/', '%2F')}/executions/{execution_id}"
    assert client.get(path).json()["execution_id"] == execution_id


def test_what_belongs_to_another_namespace_is_not_found(
    client: httpx.Client, stranger: httpx.Client, by_year: str, books: str
) -> None:
    execution_id = run(client, by_year)["execution_id"]
    theirs = retriever(stranger, search("trains"))
    unknown = check_error(read(stranger, theirs, "exec_0000000000000000"), 404)
    foreign = check_error(read(stranger, theirs, execution_id), 404)
    assert foreign.error.message.replace(execution_id, "") == unknown.error.message.replace(
        "exec_0000000000000000", ""
    )
    check_error(read(stranger, by_year, execution_id), 404)
    check_error(post_execute(stranger, by_year), 404)
    check_error(post_execute(stranger, theirs, {"collection_identifiers": [books]}), 404)
    check_error(post_execute(stranger, theirs, {"collection_identifiers": ["books"]}), 404)
    check_error(stranger.post(f"/retrievers/{by_year}/executions/list"), 404)


def test_a_key_of_another_namespace_finds_nothing(
    service: Stack, client: httpx.Client, stranger: httpx.Client, by_year: str
) -> None:
    name = stranger.headers["X-Namespace"]
    namespace_id = stranger.get(f"/namespaces/{name}").json()["namespace_id"]
    with connect(service.redis_url) as server:
        secret, _ = create_key(server, unique("limited"), namespaces=[namespace_id])
    execution_id = run(client, by_year)["execution_id"]
    limited = {"Authorization": f"Bearer {secret}"}
    check_error(read(client, by_year, execution_id, **limited), 404)
    check_error(post_execute(client, by_year, **limited), 404)
