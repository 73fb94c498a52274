"""Lines of a body: the same however it is cut into chunks, and never more in memory than allowed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from api.lines import Line, LineSplitter


def split(chunks: list[bytes], max_bytes: int = 1_000) -> list[Line]:
    splitter = LineSplitter(max_bytes)
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()


def test_blank_lines_are_numbered_and_left_out() -> None:
    assert split([b"a\n\n  \r\n b \r\nc"]) == [Line(1, b"a"), Line(4, b"b"), Line(5, b"c")]


def test_nothing_is_no_line() -> None:
    assert split([]) == split([b""]) == split([b"\n\n"]) == []


def test_a_line_that_is_too_long_is_told_and_the_next_one_is_whole() -> None:
    chunks = [b"x" * 6, b"x" * 6, b"\nok\n", b"y" * 10 + b"\n" + b"z" * 11]
    assert split(chunks, 10) == [Line(1, None), Line(2, b"ok"), Line(3, b"y" * 10), Line(4, None)]


def test_a_line_without_end_is_not_kept() -> None:
    splitter = LineSplitter(10)
    for _ in range(1_000):
        assert splitter.feed(b"x" * 1_000) == []
        assert len(splitter._held) <= 10
    assert splitter.end() == [Line(1, None)]


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\x00", b"\n")), st.lists(st.integers(0, 200)))
def test_the_cuts_do_not_matter(body: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(bounds)]
    assert split(chunks, 50) == split([body], 50)


@given(st.lists(st.sampled_from([b"", b"a", b"bb", b"x" * 9, b"x" * 11])))
def test_every_line_has_its_number(texts: list[bytes]) -> None:
    expected = [Line(n, text if len(text) <= 10 else None) for n, text in enumerate(texts, 1) if text]
    assert split([b"\n".join(texts)], 10) == expected
