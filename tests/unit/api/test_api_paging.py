"""Paging parameters: who wins, and what the answer says."""

from __future__ import annotations

import pytest

from api.paging import Page, PagingQuery, page_of, pagination
from api.schemas.common import PagingBody


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({}, {}, Page(20)),
        ({"limit": 5, "page_size": 6}, {}, Page(5)),
        ({"limit": 5}, {"page_size": 7}, Page(7)),
        ({"page": 3, "limit": 5}, {}, Page(5, 10)),
        ({"page": 3, "offset": 1}, {}, Page(20, 1)),
        ({"offset": 1}, {"page": 2, "limit": 4}, Page(4, 4)),
        ({"page": 3}, {"offset": 0}, Page(20, 0)),
        ({"cursor": "a", "next_cursor": "b", "after": "c"}, {}, Page(20, cursor="a")),
        ({"next_cursor": "b", "after": "c"}, {}, Page(20, cursor="b")),
        ({"after": "c"}, {"cursor": "d"}, Page(20, cursor="d")),
        ({"cursor": ""}, {}, Page(20)),
        ({"include_total": True}, {"include_total": False}, Page(20)),
        ({"include_total": True}, {}, Page(20, include_total=True)),
    ],
)
def test_precedence(query: dict[str, int], body: dict[str, int], expected: Page) -> None:
    assert page_of(PagingQuery(**query), PagingBody(**body)) == expected


def test_page_numbers_are_known_without_a_cursor() -> None:
    shown = pagination(Page(10, 20), next_cursor="n", total=45)
    assert (shown["page"], shown["total_pages"]) == (3, 5)
    assert (shown["next_page"], shown["previous_page"], shown["next_cursor"]) == ("4", "2", "n")


def test_with_a_cursor_only_the_next_one_is_known() -> None:
    shown = pagination(Page(10, cursor="c"), next_cursor=None, total=None)
    assert {name for name, value in shown.items() if value is not None} == {"page_size"}


def test_the_last_page_has_no_next_and_the_first_no_previous() -> None:
    shown = pagination(Page(10), next_cursor=None, total=0)
    assert (shown["next_page"], shown["previous_page"], shown["total_pages"]) == (None, None, 0)
