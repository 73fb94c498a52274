"""The books: transitions counted by the scripts that make them, and what follows from the counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.models.execution import Status

Text = bytes | str  # in replies, as the client is set up
NOWHERE = "none"  # where executions come from, and where one goes whose record was lost


@dataclass(frozen=True, slots=True)
class Books:
    """How many executions have gone from one status to another. `submitted` is always the sum of `held`."""

    transitions: Mapping[tuple[str, str], int]

    def held(self, status: str) -> int:
        """Executions that are in this status: what came in minus what went out."""
        return sum(
            count * ((into == status) - (out_of == status))
            for (out_of, into), count in self.transitions.items()
        )

    def entered(self, status: str) -> int:
        """How often an execution came into this status; never falls."""
        return sum(count for (_, into), count in self.transitions.items() if into == status)

    @property
    def submitted(self) -> int:
        """Without those whose record was lost and that `kennel doctor --fix` wrote off."""
        return -self.held(NOWHERE)

    @property
    def accepted(self) -> int:
        """Submits ever; never falls."""
        return sum(count for (out_of, _), count in self.transitions.items() if out_of == NOWHERE)

    @property
    def attempts(self) -> int:
        return self.entered(Status.PROCESSING)

    @property
    def requeued(self) -> int:
        """Put back after they had started: their worker was lost or stopped."""
        return self.transitions.get((Status.PROCESSING, Status.PENDING), 0)

    @property
    def is_possible(self) -> bool:
        """Whether no status holds less than nothing."""
        return all(self.held(status) >= 0 for status in Status)


@dataclass(frozen=True, slots=True)
class QueueNow:
    name: str
    depth: int  # executions that wait in it
    oldest_sequence: int | None  # of the one that has waited longest: its place in time, in µs


@dataclass(frozen=True, slots=True)
class BooksReading:
    """The books and what is really there, of the same moment."""

    books: Books
    running: int  # executions of the whole installation that are leased to a worker
    queues: tuple[QueueNow, ...]

    @property
    def waiting(self) -> int:
        """Executions of the whole installation that are in a queue."""
        return sum(queue.depth for queue in self.queues)

    @property
    def is_balanced(self) -> bool:
        """Whether the installation's books agree with what is there."""
        held = self.books.held
        return (held(Status.PENDING), held(Status.PROCESSING)) == (self.waiting, self.running)


def books_of(counts: Iterable[tuple[Text, Text]]) -> Books:
    """From the fields of a hash of books: ("pending>processing", "3"), …"""
    split = ((_text(name).partition(">"), int(count)) for name, count in counts)
    return Books({(out_of, into): count for (out_of, _, into), count in split})


def reading_of(flat: Sequence[Text], running: int, queues: Sequence[Sequence[Text]]) -> BooksReading:
    """From what `read_books` returns (shared/lua/stats.lua)."""
    found = (
        QueueNow(_text(name), int(depth), int(float(oldest)) if oldest else None)
        for name, depth, oldest in queues
    )
    return BooksReading(books_of(zip(flat[::2], flat[1::2], strict=True)), int(running), tuple(found))


def _text(value: Text) -> str:
    return value.decode() if isinstance(value, bytes) else value
