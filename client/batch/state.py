"""What a batch has finished, in a file that survives a kill at any moment.

The first line says which batch it is, each further one that a line of the input is finished: its number, a
digest of its content, how it ended, and where its result ends in the results file. A result is written
before it is recorded; what stands behind the last recorded one is cut off when the batch goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from client.errors import NotConfigured


@dataclass(frozen=True, slots=True)
class BatchIdentity:
    """What must be the same when a batch goes on."""

    batch_id: str  # begins each idempotency key
    retriever: str
    namespace: str | None
    results: str  # path of the results file, or `-`


@dataclass(frozen=True, slots=True)
class Finished:
    """One line of the input that is done."""

    line: int
    content: str
    status: str
    is_failed: bool
    execution_id: str | None
    results_end: int  # bytes of the results file, up to this line's result


class BatchState:
    """Use `open_state` to get one."""

    def __init__(self, file: BinaryIO, identity: BatchIdentity) -> None:
        self.identity = identity
        self.results_end = 0
        self._file = file
        self._finished: dict[int, str] = {}
        self._failures: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._finished)

    def is_finished(self, line: int, content: str) -> bool:
        return self._finished.get(line) == content

    def failures(self, line: int) -> int:
        """How often it has failed; 0 once it has completed. Each try has a key of its own."""
        return self._failures.get(line, 0)

    def forget_failed(self) -> None:
        """Lines that failed are not finished any more."""
        for line in self._failures:
            self._finished.pop(line, None)

    def record(self, finished: Finished) -> None:
        """Write it down; it survives the end of this process when this returns."""
        self._file.write(orjson.dumps(asdict(finished)) + b"\n")
        self._file.flush()
        self._learn(finished)

    def load(self, results_size: int | None) -> None:
        """Read what earlier runs recorded, and cut off what is torn or has lost its result.

        Args:
            results_size: Bytes in the results file; None when results are not kept.
        """
        for raw in self._file:
            if not raw.endswith(b"\n"):
                break
            finished = Finished(**orjson.loads(raw))
            if results_size is not None and finished.results_end > results_size:
                break
            self._learn(finished)
        else:
            return
        self._file.seek(-len(raw), os.SEEK_CUR)
        self._file.truncate()

    def _learn(self, finished: Finished) -> None:
        self.results_end = finished.results_end
        self._finished[finished.line] = finished.content
        if finished.is_failed:
            self._failures[finished.line] = self.failures(finished.line) + 1
        else:
            self._failures.pop(finished.line, None)


@contextlib.contextmanager
def open_state(
    path: Path, identity: BatchIdentity, results_size: int | None, *, restart: bool
) -> Iterator[BatchState]:
    """The state of this batch, as earlier runs left it; nobody else can open it meanwhile.

    Args:
        results_size: Bytes in the results file; None when results are not kept.
        restart: Forget what earlier runs did.

    Raises:
        NotConfigured: it is in use, is another batch's or cannot be written, or there are results without it.
    """
    with _open(path) as file:
        if restart:
            file.truncate(0)
        first = file.readline()
        if first.endswith(b"\n"):
            yield _go_on(file, first, identity, path, results_size)
        else:
            yield _begin(file, identity, path, None if restart else results_size)


def _open(path: Path) -> BinaryIO:
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    except OSError as error:
        raise NotConfigured(f"{path} cannot be written: {error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise NotConfigured(f"another `kennel batch` is using {path}; let it end first") from error
    return file


def _go_on(
    file: BinaryIO, first: bytes, identity: BatchIdentity, path: Path, results_size: int | None
) -> BatchState:
    try:
        state = BatchState(file, _same_batch(first, identity, path))
        state.load(results_size)
    except (orjson.JSONDecodeError, TypeError) as error:
        raise NotConfigured(f"{path} is not the state of a batch; name another file with --state") from error
    return state


def _begin(file: BinaryIO, identity: BatchIdentity, path: Path, results_size: int | None) -> BatchState:
    if results_size:
        path.unlink()
        raise NotConfigured(
            f"{identity.results} holds results, but there is no {path} to go on with; "
            "move the results away, or begin anew with --restart"
        )
    file.seek(0)
    file.truncate()
    file.write(orjson.dumps(asdict(identity)) + b"\n")
    file.flush()
    return BatchState(file, identity)


def _same_batch(first: bytes, wanted: BatchIdentity, path: Path) -> BatchIdentity:
    """The identity in the file; the batch id is that of its first run."""
    stored = BatchIdentity(**orjson.loads(first))
    for name, value in asdict(wanted).items():
        known: Any = getattr(stored, name)
        if name != "batch_id" and value != known:
            raise NotConfigured(
                f"{path} is of a batch whose {name} is {known}, not {value}; "
                "name another file with --state, or begin anew with --restart"
            )
    return stored
