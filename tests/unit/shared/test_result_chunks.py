"""Rows in chunks: every page is what slicing the rows gives, and reads only its own chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.result_chunks import ROWS_PER_CHUNK, chunks_of, packed, unpacked

ROWS = [b'{"document_id":"doc_%d"}' % number for number in range(3 * ROWS_PER_CHUNK + 5)]


def page(rows: list[bytes], offset: int, limit: int) -> list[bytes]:
    first, last = chunks_of(offset, limit)
    return unpacked(packed(rows)[first : last + 1], offset, limit)


@given(st.integers(0, len(ROWS)), st.integers(0, len(ROWS) + 50), st.integers(1, 500))
def test_a_page_is_a_slice_of_the_rows(count: int, offset: int, limit: int) -> None:
    assert page(ROWS[:count], offset, limit) == ROWS[:count][offset : offset + limit]


def test_a_page_reads_its_own_chunks_only() -> None:
    assert chunks_of(0, ROWS_PER_CHUNK) == (0, 0)
    assert chunks_of(ROWS_PER_CHUNK - 1, 2) == (0, 1)
    assert chunks_of(2 * ROWS_PER_CHUNK, 1) == (2, 2)
    assert len(packed(ROWS)) == 4


def test_texts_take_less_room() -> None:
    rows = [
        b'{"document_id":"doc_%d","text":"%s"}' % (number, b"a book about trains " * 20)
        for number in range(64)
    ]
    assert sum(map(len, packed(rows))) * 10 < sum(map(len, rows))
