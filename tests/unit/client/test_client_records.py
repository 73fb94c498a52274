"""Lines of files: what they are, and what is wrong with them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import NotConfigured
from client.records import STDIN, Record, Source, _csv


def records(directory: Path, name: str, content: bytes) -> list[Record]:
    file = directory / name
    file.write_bytes(content)
    return list(Source.of(file, None).records())


def test_lines_of_jsonl_have_their_numbers(tmp_path: Path) -> None:
    found = records(tmp_path, "a.jsonl", b'{"a": 1}\n\n  \n{"a": "\xc3\xa9"}')
    assert found == [Record(1, {"a": 1}), Record(4, {"a": "é"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [(b"[1]", "not a JSON object"), (b"{'a': 1}", "not JSON: "), (b'{"a": 1', "not JSON: ")],
)
def test_a_line_that_cannot_be_used_says_why(tmp_path: Path, line: bytes, problem: str) -> None:
    [bad, good] = records(tmp_path, "a.jsonl", line + b'\n{"a": 1}\n')
    assert (bad.problem or "").startswith(problem)
    assert good == Record(2, {"a": 1})


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("7", 7),
        ("-1.50", -1.5),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("007", "007"),
        ("null", "null"),
        ('"""quoted"""', '"quoted"'),
        ("nan", "nan"),
        ("123456789012345678901234", "123456789012345678901234"),
        ("two words", "two words"),
    ],
)
def test_a_cell_is_the_json_it_looks_like_or_text(tmp_path: Path, cell: str, value: Any) -> None:
    quoted = cell if cell.startswith('"') else f'"{cell}"'
    assert records(tmp_path, "a.csv", f"a,b\n{quoted},x\n".encode()) == [Record(2, {"a": value, "b": "x"})]


def test_an_empty_cell_is_not_given(tmp_path: Path) -> None:
    assert records(tmp_path, "a.csv", b"\xef\xbb\xbfa,b\n,x\n\n") == [Record(2, {"b": "x"})]


def test_a_row_of_another_length_says_so(tmp_path: Path) -> None:
    [bad, good] = records(tmp_path, "a.csv", b"a,b\n1\n1,2\n")
    assert bad == Record(2, {}, "it has 1 cells, and the first line names 2")
    assert good == Record(3, {"a": 1, "b": 2})


@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.text(min_size=1), min_size=2), max_size=5))
def test_text_columns_are_read_as_they_were_written(rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["a", "b"])
    writer.writeheader()
    writer.writerows(rows)
    try:
        raw = text.getvalue().encode()
    except UnicodeEncodeError:  # half of a character
        return
    assert [record.values for record in _csv(io.BytesIO(raw), frozenset("ab"))] == rows


@pytest.mark.parametrize("content", [b"a,b\n\xff,1\n", b'a,b\n"x"y,1\n'])
def test_a_file_that_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NotConfigured, match=r"a\.csv cannot be read"):
        records(tmp_path, "a.csv", content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="No such file"):
        Source.of(tmp_path / "a.jsonl", None).count()


def test_the_format_is_known_by_the_name_or_said(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="say which it is with --format"):
        Source.of(tmp_path / "a.txt", None)
    assert Source.of(tmp_path / "a.txt", "csv").format == "csv"
    assert Source.of(tmp_path / "A.CSV", None).format == "csv"
    assert Source.of(STDIN, None).count() is None
