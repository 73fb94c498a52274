"""Where the results of a batch go: a file that agrees with the state, or standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from client.batch.state import BatchState
from client.errors import NotConfigured

STDOUT = Path("-")


def results_size(path: Path) -> int | None:
    """Bytes in the file, 0 when there is none; None for standard output."""
    if path == STDOUT:
        return None
    return path.stat().st_size if path.exists() else 0


@contextmanager
def open_results(path: Path, state: BatchState) -> Iterator[BinaryIO]:
    """The end of the results; what a killed run had written and not recorded is cut off.

    Raises:
        NotConfigured: the file cannot be written.
    """
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        file = path.open("ab")
        file.truncate(state.results_end)
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error}") from error
    with file:
        yield file
