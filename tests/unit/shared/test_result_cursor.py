"""Cursors and scroll ids of a result: what is sealed comes back, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import result_cursor
from shared.errors import BadRequest, NotFound
from shared.models.execution import Page, pagination_of
from shared.result_cursor import next_cursor, open_cursor, open_scroll

SECRET = b"secret"
SCROLL = Page("scroll", 10, 20, scroll_ttl_s=60)


@given(st.integers(1, 1000), st.integers(0, 10_000), st.integers(0, 20_000))
def test_a_cursor_leads_behind_its_page(size: int, offset: int, total: int) -> None:
    cursor = next_cursor("exec_1", Page("cursor", size, offset), total, SECRET)
    assert (cursor is None) == (offset + size >= total)
    if cursor is not None:
        assert open_cursor(cursor, SECRET) == ("exec_1", Page("cursor", size, offset + size))


def test_a_scroll_id_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_cursor, "now_ms", lambda: 1_000)
    scroll_id = next_cursor("exec_1", SCROLL, 100, SECRET)
    assert scroll_id is not None
    monkeypatch.setattr(result_cursor, "now_ms", lambda: 60_999)
    assert open_scroll(scroll_id, SECRET) == ("exec_1", Page("scroll", 10, 30, scroll_ttl_s=60))
    monkeypatch.setattr(result_cursor, "now_ms", lambda: 61_000)
    with pytest.raises(NotFound, match="ended 60 s after"):
        open_scroll(scroll_id, SECRET)


def test_neither_stands_in_for_the_other() -> None:
    cursor = next_cursor("exec_1", Page(), 100, SECRET)
    scroll_id = next_cursor("exec_1", SCROLL, 100, SECRET)
    assert cursor and scroll_id
    with pytest.raises(NotFound):
        open_scroll(cursor, SECRET)
    with pytest.raises(BadRequest):
        open_cursor(scroll_id, SECRET)


@pytest.mark.parametrize("forged", ["", "x", "AAAA" * 20])
def test_a_forged_scroll_id_is_not_found(forged: str) -> None:
    with pytest.raises(NotFound):
        open_scroll(forged, SECRET)


@pytest.mark.parametrize("method", ["offset", "keyset"])
def test_pages_by_number_and_by_key_have_no_token(method: str) -> None:
    assert next_cursor("exec_1", Page(method), 100, SECRET) is None


def test_each_method_has_its_members() -> None:
    common = {"limit", "page_size", "returned", "total", "has_next", "method"}
    own = {
        "cursor": {"cursor"},
        "offset": {"offset", "page_number", "has_previous"},
        "keyset": {"next_cursor", "after"},
        "scroll": {"scroll_id"},
    }
    for method, members in own.items():
        shown = pagination_of(Page(method, 5, 5), 12, 5, None)
        assert shown.keys() == common | members
        assert (shown["has_next"], shown["total"]) == (True, 12)
