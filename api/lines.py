"""Lines of a body that arrives in chunks: never more of it in memory than a chunk and one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    number: int  # 1-based; blank lines are counted, too
    text: bytes | None  # without white space around it; None: it is longer than allowed


class LineSplitter:
    """Feed it chunks, then end it. Blank lines are left out."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 0
        self._held = bytearray()
        self._too_long = False

    def feed(self, chunk: bytes) -> list[Line]:
        """The lines that end in this chunk."""
        *ends, rest = chunk.split(b"\n")
        found = []
        for end in ends:
            self._hold(end)
            found += self._take()
        self._hold(rest)
        return found

    def end(self) -> list[Line]:
        """The last line, if no newline ended it."""
        return self._take()

    def _hold(self, part: bytes) -> None:
        if not self._too_long:
            self._held += part
        if len(self._held) > self._max_bytes:
            self._too_long = True
            self._held.clear()

    def _take(self) -> list[Line]:
        self._number += 1
        text = None if self._too_long else bytes(self._held).strip()
        self._held.clear()
        self._too_long = False
        return [] if text == b"" else [Line(self._number, text)]
