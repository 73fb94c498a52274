"""Pages by scroll id and by the last document seen."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from shared.tokens import open_token, sign
from tests.contract.check import check_error, check_execution
from tests.contract.scenes import (
    ALL,
    BY_YEAR,
    document_ids,
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
BY_GENRE = stage("sort", "sort_attribute", field="genre", direction="desc")


def scroll(client: httpx.Client, made: str, scroll_id: str, **over: Any) -> httpx.Response:
    return post_execute(client, made, {"pagination": {"method": "scroll", "scroll_id": scroll_id, **over}})


# Scroll


@pytest.mark.parametrize("limit", [7, 20, 45, 1000])
def test_all_pages_by_scroll_are_the_whole_result_of_one_execution(
    client: httpx.Client, by_year: str, limit: int
) -> None:
    page = first = run(client, by_year, pagination={"method": "scroll", "limit": limit})
    seen = document_ids(page)
    for _ in range(10):
        check_execution(page)
        assert (page["execution_id"], page["budget"]) == (first["execution_id"], first["budget"])
        scroll_id = page["pagination"]["scroll_id"]
        assert (scroll_id is not None) == page["pagination"]["has_next"]
        if scroll_id is None:
            break
        page = scroll(client, by_year, scroll_id).json()
        seen += document_ids(page)
    assert seen == ALL


def test_a_scroll_page_holds_a_hundred_unless_told(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, pagination={"method": "SCROLL"})
    assert (first["pagination"]["limit"], first["pagination"]["scroll_id"]) == (100, None)


def test_a_further_page_may_have_another_size(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, pagination={"method": "scroll", "limit": 10})
    page = scroll(client, by_year, first["pagination"]["scroll_id"], limit=3).json()
    assert document_ids(page) == ALL[10:13]


def test_the_documents_are_those_of_the_first_call(client: httpx.Client) -> None:
    collection = unique("moving")
    client.post("/collections", json={"collection_name": collection})
    write(client, collection, [{"document_id": f"d{n}", "year": n} for n in range(4)])
    made = retriever(client, BY_YEAR, collection_identifiers=[collection])
    first = run(client, made, pagination={"method": "scroll", "limit": 2})
    write(client, collection, [{"document_id": "d2", "year": -1}, {"document_id": "d9", "year": 9}])
    assert document_ids(scroll(client, made, first["pagination"]["scroll_id"]).json()) == ["d2", "d3"]


def test_an_ended_or_forged_scroll_id_is_not_found(
    service: Stack, client: httpx.Client, by_year: str
) -> None:
    first = run(client, by_year, pagination={"method": "scroll", "limit": 10, "scroll_ttl": 60})
    scroll_id = first["pagination"]["scroll_id"]
    with connect(service.redis_url) as server:
        secret = server.get(keys.SECRET)
    assert isinstance(secret, bytes)
    *position, ends_at_ms = open_token(scroll_id, secret)
    assert position == [first["execution_id"], 10, 10, 60]
    over = sign([*position, ends_at_ms - 60_001], secret)
    assert check_error(scroll(client, by_year, over), 404).error.code == "scroll_expired"
    for forged in ("nonsense", scroll_id[:-2] + "AA", sign([first["execution_id"], 10, 10], secret)):
        assert check_error(scroll(client, by_year, forged), 404).error.code == "scroll_not_found"


def test_a_scroll_id_is_of_no_use_for_another_retriever(client: httpx.Client, by_year: str) -> None:
    first = run(client, by_year, pagination={"method": "scroll", "limit": 10})
    other = retriever(client, search("trains"), collection_identifiers=["books"])
    check_error(scroll(client, other, first["pagination"]["scroll_id"]), 404)


# Keyset


def keyset_pages(client: httpx.Client, made: str, limit: int, **body: Any) -> list[dict[str, Any]]:
    """Every page, one execution each."""
    pages = [run(client, made, pagination={"method": "keyset", "limit": limit}, **body)]
    for _ in range(60):
        after = pages[-1]["pagination"]["next_cursor"]
        assert pages[-1]["pagination"]["after"] == after
        if after is None:
            break
        pages.append(
            run(client, made, pagination={"method": "keyset", "limit": limit, "after": after}, **body)
        )
    return pages


@pytest.mark.parametrize("first", [BY_YEAR, BY_GENRE, search("trains", final_top_k=45)])
@pytest.mark.parametrize("limit", [1, 7, 45])
def test_all_pages_by_keyset_are_the_whole_result(
    client: httpx.Client, first: dict[str, Any], limit: int
) -> None:
    made = retriever(client, first, collection_identifiers=["books"])
    whole = document_ids(run(client, made, limit=100))
    pages = keyset_pages(client, made, limit)
    assert [each for page in pages for each in document_ids(page)] == whole
    assert sorted(whole) == ALL
    assert len({page["execution_id"] for page in pages}) == len(pages) == -(-45 // limit)
    for page in pages:
        check_execution(page)
        assert page["pagination"]["total"] == 45


def test_the_marker_is_sort_value_and_id(client: httpx.Client, by_year: str) -> None:
    page = run(client, by_year, pagination={"method": "keyset", "limit": 3})
    assert page["pagination"]["next_cursor"] == {"year": 1972, "id": "doc_02"}


def test_what_was_written_meanwhile_is_neither_repeated_nor_lost(client: httpx.Client) -> None:
    collection = unique("growing")
    client.post("/collections", json={"collection_name": collection})
    write(client, collection, [{"document_id": f"d{n}", "year": n} for n in range(4)])
    made = retriever(client, BY_YEAR, collection_identifiers=[collection])
    first = run(client, made, pagination={"method": "keyset", "limit": 2})
    write(client, collection, [{"document_id": "before", "year": -1}, {"document_id": "behind", "year": 9}])
    after = first["pagination"]["next_cursor"]
    page = run(client, made, pagination={"method": "keyset", "limit": 9, "after": after})
    assert document_ids(first) + document_ids(page) == ["d0", "d1", "d2", "d3", "behind"]


def test_two_collections_may_hold_one_id(client: httpx.Client) -> None:
    collections = [unique("twin"), unique("twin")]
    for collection in collections:
        client.post("/collections", json={"collection_name": collection})
        write(client, collection, [{"document_id": f"d{n}", "year": 1} for n in range(3)])
    made = retriever(client, BY_YEAR, collection_identifiers=collections)
    pages = keyset_pages(client, made, 1)
    seen = [(d["document_id"], d["collection_id"]) for page in pages for d in page["documents"]]
    assert len(seen) == len(set(seen)) == 6


def test_a_marker_without_a_sort_field_fails_naming_it(client: httpx.Client, by_year: str) -> None:
    ended = run(client, by_year, pagination={"method": "keyset", "after": {"id": "doc_02"}})
    check_execution(ended)
    assert ended["status"] == "failed"
    assert "must hold year, id" in ended["error"] and "year is missing" in ended["error"]
