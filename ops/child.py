"""One supervised process: how it is started, watched and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
STEADY_AFTER_S = 30.0  # alive for this long, a process counts as started
KILL_WAIT_S = 1.0
READ_BYTES = 65_536
LINE_MAX_BYTES = 65_536

INSTALL_DIR = Path(__file__).resolve().parent.parent
_TETHER = Path(__file__).with_name("tether.py")


@dataclass(frozen=True)
class Program:
    """What to run."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    keep_fds: tuple[int, ...] = ()  # file descriptors it inherits


class Child:
    """A program and its current process, started again and again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.failures = 0  # in a row, without having been steady
        self.restart_at_s: float | None = None  # monotonic; None while it runs
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at_s = 0.0
        self._tail = b""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def output_fd(self) -> int | None:
        """Read end of its stdout and stderr; None while there is no process."""
        output = self._process.stdout if self._process else None
        return None if output is None or output.closed else output.fileno()

    @property
    def pid(self) -> int | None:
        """Of the process as it is now; None while there is none."""
        return self._process.pid if self._process else None

    def start(self) -> int:
        """Start it in a session of its own, so that Ctrl-C in the terminal reaches only the supervisor.

        Call from the main thread: Linux ends a tethered process with the *thread* that started it.

        Returns:
            Its `output_fd`.
        """
        tethered = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), *self.program.argv]
        self._process = subprocess.Popen(
            tethered,
            cwd=INSTALL_DIR,  # so that no `api` package of the current directory hides ours
            env=dict(self.program.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self.program.keep_fds,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdout
        fd = self._process.stdout.fileno()
        os.set_blocking(fd, False)
        self._started_at_s = time.monotonic()
        self._tail = b""
        self.restart_at_s = None
        return fd

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def read_lines(self) -> list[str] | None:
        """Complete lines of its output, without waiting; None at the end of it."""
        if self.output_fd is None:
            return None
        try:
            data = os.read(self.output_fd, READ_BYTES)
        except BlockingIOError:
            return []
        *lines, self._tail = (self._tail + data).split(b"\n")
        if self._tail and (not data or len(self._tail) > LINE_MAX_BYTES):
            lines.append(self._tail)
            self._tail = b""
        texts = [line.decode(errors="replace").rstrip("\r") for line in lines]
        return texts if data or texts else None

    def note_death(self) -> str:
        """Collect the dead process and whatever it left in its group, and plan the restart.

        Returns:
            How it ended, in words.
        """
        assert self._process
        self._signal_group(signal.SIGKILL)
        returncode = self._process.wait()
        now_s = time.monotonic()
        self.failures = 1 if now_s - self._started_at_s >= STEADY_AFTER_S else self.failures + 1
        self.restart_at_s = now_s + self.backoff_s
        return describe_exit(returncode)

    @property
    def backoff_s(self) -> float:
        return min(BACKOFF_FIRST_S * 2.0 ** (self.failures - 1), BACKOFF_MAX_S)

    def forget(self) -> None:
        """Close the pipe and drop the dead process: its id may soon be another's."""
        if self._process and self._process.stdout:
            self._process.stdout.close()
        self._process = None

    def terminate(self) -> None:
        """Ask the main process to end; it tells its own children."""
        if self._process and self.is_alive():
            self._process.terminate()

    def kill(self) -> None:
        """End the process and its whole group at once, and collect it."""
        self._signal_group(signal.SIGKILL)
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_WAIT_S)

    def _signal_group(self, signum: int) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signum)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left; macOS says EPERM for a group of zombies


def describe_exit(returncode: int) -> str:
    """`exit code 3`, or `killed by SIGKILL`."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"
