"""Lines of a JSONL or CSV file, one at a time; a line that cannot be used says why."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TextIO

import orjson

from client.errors import NotConfigured

Format = Literal["jsonl", "csv"]

STDIN = Path("-")
_FORMATS: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


@dataclass(frozen=True, slots=True)
class Record:
    """One line: its number in the file, from 1, and its values, or why it has none."""

    number: int
    values: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or `-` for standard input."""

    path: Path
    format: Format

    @classmethod
    def of(cls, path: Path, format_: Format | None) -> Source:
        """Raises NotConfigured: the format is not given, and the file's name does not tell it."""
        known = format_ or ("jsonl" if path == STDIN else _FORMATS.get(path.suffix.lower()))
        if known is None:
            raise NotConfigured(f"{path} does not end in .jsonl or .csv; say which it is with --format")
        return cls(path, known)

    @property
    def is_stdin(self) -> bool:
        return self.path == STDIN

    def count(self) -> int | None:
        """How many lines there are; None when they can be read only once."""
        return None if self.is_stdin else sum(1 for _ in self.records())

    def records(self, text_columns: frozenset[str] = frozenset()) -> Iterator[Record]:
        """All lines that are not blank.

        Args:
            text_columns: CSV: columns that stay text, whatever their cells look like.

        Raises:
            NotConfigured: the file cannot be read, or is not UTF-8.
        """
        with self._opened() as file:
            yield from _jsonl(file) if self.format == "jsonl" else _csv(file, text_columns)

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        try:
            if self.is_stdin:
                yield sys.stdin.buffer
            else:
                with self.path.open("rb") as file:
                    yield file
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise NotConfigured(f"{self.path} cannot be read: {error}") from error


def _jsonl(file: BinaryIO) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield Record(number, {}, f"not JSON: {error}")
            continue
        if isinstance(values, dict):
            yield Record(number, values)
        else:
            yield Record(number, {}, "not a JSON object")


def _csv(file: BinaryIO, text_columns: frozenset[str]) -> Iterator[Record]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield from _rows(text, text_columns)
    finally:
        text.detach()  # else it would close the file, which is not its own


def _rows(text: TextIO, text_columns: frozenset[str]) -> Iterator[Record]:
    reader = csv.reader(text, strict=True)
    header = next(reader, [])
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            yield Record(
                reader.line_num, {}, f"it has {len(row)} cells, and the first line names {len(header)}"
            )
            continue
        cells = {name: cell for name, cell in zip(header, row, strict=True) if cell}
        yield Record(
            reader.line_num,
            {name: cell if name in text_columns else _value(cell) for name, cell in cells.items()},
        )


def _value(cell: str) -> Any:
    """A cell that is JSON's number, boolean, list or object is that; anything else is text."""
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell
    is_rounded = isinstance(value, float) and cell.lstrip("-").isdecimal()  # digits beyond 64 bits
    return cell if value is None or isinstance(value, str) or is_rounded else value
