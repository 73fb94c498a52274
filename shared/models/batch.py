"""A batch as it is now: counters that its executions keep, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# An upload that adds no line for this long counts as broken off (ms).
UPLOAD_SILENCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Where an execution stands in a batch."""

    batch_id: str
    line: int  # 1-based
    digest: str  # of the line's content: the same number with another content is refused
    caller_id: bytes  # JSON: the caller's own name for the line, or null


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A line that became an execution."""

    line: int
    execution_id: str
    caller_id: bytes  # JSON


@dataclass(frozen=True, slots=True)
class Batch:
    """`submitted` is always the sum of `counts`. All times are the server's, in ms since the epoch."""

    batch_id: str
    namespace_id: str
    now_ms: int
    created_ms: int
    started_ms: int | None  # the first claim
    ended_ms: int | None  # since when none of its executions is open
    cancelled_ms: int | None
    uploading: bool
    complete: bool  # the latest upload was received to its last line
    lines: int  # of the latest upload, and of these the refused ones
    refused: int
    refused_lines: bytes  # JSON: the first of them
    last_line: int  # highest number of an accepted line
    submitted: int
    finished: int  # reached a terminal status
    counts: Mapping[str, int]  # by status
    mark: tuple[int, int] | None = None  # (ms, finished then), 10 to 20 s ago

    @property
    def open(self) -> int:
        return self.counts["pending"] + self.counts["processing"]

    @property
    def has_ended(self) -> bool:
        """Nothing is open, and nobody adds to it."""
        return self.open == 0 and not self.uploading

    @property
    def status(self) -> str:
        """uploading, running or ended."""
        if self.has_ended:
            return "ended"
        return "uploading" if self.uploading else "running"

    @property
    def rate_is_recent(self) -> bool:
        """Whether `rate_per_s` is of the last 10 to 20 s, else it is of the whole run."""
        return self.mark is not None and not self.has_ended

    def rate_per_s(self) -> float:
        """Executions finished per second; 0 before the first one was started."""
        until_ms = self.ended_ms if self.has_ended and self.ended_ms else self.now_ms
        if self.mark is not None and self.rate_is_recent:
            since_ms, before = self.mark
        elif self.started_ms is not None:
            since_ms, before = self.started_ms, 0
        else:
            return 0.0
        return (self.finished - before) * 1000 / max(1, until_ms - since_ms)

    def eta_s(self) -> float | None:
        """How long the rest takes at this rate (s); None while nothing says so."""
        if self.open == 0:
            return 0.0
        rate = self.rate_per_s()
        return self.open / rate if rate > 0 else None
