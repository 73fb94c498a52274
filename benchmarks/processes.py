"""Child processes of the benchmark: started tethered, metered, and ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

import ops.tether
from benchmarks.figures import BenchError

STOP_S = 15.0
_POLL_S = 0.02
_LOG_TAIL_CHARS = 2_000
ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")


class Process:
    """One program with its children. It ends when this process does, however that ends (on Linux)."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, keep_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.log = log
        tether = [sys.executable, "-I", "-S", str(ops.tether.__file__), str(os.getpid())]
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [*tether, *argv],
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(keep_fds),
                start_new_session=True,
            )

    def family(self) -> list[psutil.Process]:
        """Itself and all its children that live."""
        try:
            main = psutil.Process(self._popen.pid)
            return [main, *main.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_s(self) -> float:
        """CPU time, user and system, of all of the family so far."""
        total_s = 0.0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total_s += times.user + times.system
        return total_s

    def check(self) -> None:
        """Raises BenchError, with the end of its log, when it has ended."""
        if self._popen.poll() is not None:
            tail = self.log.read_text(errors="replace")[-_LOG_TAIL_CHARS:]
            raise BenchError(
                f"{self.name} ended with exit code {self._popen.returncode}; its log ends:\n{tail}"
            )

    def stop(self) -> None:
        """Ask it to end, and kill what is left of its group."""
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(STOP_S)


@contextlib.contextmanager
def running(
    name: str, argv: Sequence[str], env: Mapping[str, str], directory: Path, keep_fds: Sequence[int] = ()
) -> Iterator[Process]:
    """A process for the time of the block; its log is `<directory>/<name>.log`."""
    process = Process(name, argv, env, directory / f"{name}.log", keep_fds)
    try:
        yield process
    finally:
        process.stop()


def wait_for(ready: Callable[[], T], process: Process, timeout_s: float, what: str) -> T:
    """The first truthy answer of `ready`.

    Raises:
        BenchError: the process ended, or the time was over.
    """
    give_up_at_s = time.monotonic() + timeout_s
    while not (answer := ready()):
        process.check()
        if time.monotonic() > give_up_at_s:
            raise BenchError(f"{what}: not within {timeout_s:g} s; see {process.log}")
        time.sleep(_POLL_S)
    return answer
