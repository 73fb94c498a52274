"""Reads of the API: an answer that never came changed nothing, so asking again is always right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import OutcomeUnknown, Unavailable


@contextmanager
def reading() -> Iterator[None]:
    """Turn `OutcomeUnknown`, which is for writes, into `Unavailable`, which may be tried again."""
    try:
        yield
    except OutcomeUnknown as error:
        raise Unavailable("Redis did not answer in time; try again shortly") from error
