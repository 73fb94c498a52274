"""Fair turns to write a collection: SQLite's own busy handler lets one writer starve the others.

Two lock files per collection. A writer takes the gate, waits there for the lock, then opens the gate again
and writes. The one behind the gate has no rival for the lock, so a writer that comes straight back has to
queue.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shared.errors import Unavailable

_POLL_S = 0.001


@contextmanager
def write_turn(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the only right to write `path`, among the threads and processes of this machine.

    Raises:
        Unavailable: the turn did not come within `wait_s`.
        FileNotFoundError: the directory is gone.
    """
    deadline_s = time.monotonic() + wait_s
    gate_path, lock_path = _lock_paths(path)
    with _locked(gate_path, deadline_s) as gate, _locked(lock_path, deadline_s):
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextmanager
def turn_if_free(path: Path) -> Iterator[bool]:
    """Whether this turn, another one than that of writing, is the caller's; nobody waits for it."""
    with ExitStack() as held:
        try:
            held.enter_context(_locked(path, time.monotonic()))
            is_mine = True
        except Unavailable:
            is_mine = False
        yield is_mine


def remove_locks(path: Path) -> None:
    """For a collection that is gone; whoever still waits for its turn then finds no collection."""
    for lock_path in (*_lock_paths(path), embedding_turn_path(path)):
        lock_path.unlink(missing_ok=True)


def embedding_turn_path(path: Path) -> Path:
    return path.with_suffix(".embed")


def _lock_paths(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".gate"), path.with_suffix(".lock")


@contextmanager
def _locked(path: Path, deadline_s: float) -> Iterator[int]:
    # A descriptor of its own, so that flock also excludes the other threads of this process.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline_s:
                raise Unavailable(f"other writers keep {path.stem} busy; retry")
            time.sleep(_POLL_S)
        yield descriptor
    finally:
        # Said aloud: a child forked meanwhile shares the lock, and closing alone would leave it to the child.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
