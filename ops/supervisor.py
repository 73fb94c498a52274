"""Keeps processes running: forwards their output, restarts what dies, stops everything in order.

One thread and one loop; the only thing a signal handler does is leave a note for it.
"""

from __future__ import annotations

import selectors
import signal
import time
from collections.abc import Callable, Iterable
from types import FrameType

from ops.child import Child, Program
from ops.console import Console
from ops.errors import GaveUp

TICK_S = 0.1
MAX_FAILURES = 10
SECOND_SIGNAL_S = 0.3  # `timeout` and terminals may send one Ctrl-C twice
LAST_READS = 16  # of 64 kB: what a pipe can hold, and some more
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs programs until told to stop. Use from the main thread only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._selector = selectors.DefaultSelector()
        self._children: dict[str, Child] = {}
        self._stop_at_s: float | None = None
        self.is_forced = False

    @property
    def is_stopping(self) -> bool:
        return self._stop_at_s is not None or self._console.is_broken

    def handle_signals(self) -> None:
        """From now on SIGINT, SIGTERM and SIGHUP stop everything; a second Ctrl-C does it at once."""
        for signum in STOP_SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:  # as `nohup` asks for
                signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._stop_at_s is None:
            self._stop_at_s = now_s
        elif signum == signal.SIGINT and now_s - self._stop_at_s > SECOND_SIGNAL_S:
            self.is_forced = True

    def start(self, program: Program) -> None:
        child = Child(program)
        self._children[program.name] = child
        self._start(child)

    def run(self, until: Callable[[], bool] | None = None, timeout_s: float | None = None) -> bool:
        """Supervise until `until()` is true, `timeout_s` is over, or a signal asks to stop.

        Returns:
            True only when `until()` was true.

        Raises:
            GaveUp: a process died MAX_FAILURES times in a row without running steadily.
        """
        give_up_at_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.is_stopping:
            self._forward_output(TICK_S)
            self._restart_dead()
            if until is not None and until():
                return True
            if give_up_at_s is not None and time.monotonic() > give_up_at_s:
                return False
        return False

    def stop(self, names: Iterable[str], timeout_s: float) -> None:
        """Ask these processes to end, all at once, and kill those that have not after `timeout_s`."""
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.terminate()
        self._wait_for_end(children, timeout_s)
        for child in children:
            if child.is_alive():
                self._console.say(f"{child.name} has not ended, killing it")
            child.kill()
            self._close(child)
            del self._children[child.name]

    def names(self) -> list[str]:
        return list(self._children)

    def pid(self, name: str) -> int | None:
        """Of the process of this name as it is now; None between its death and its restart."""
        return self._children[name].pid

    def _wait_for_end(self, children: list[Child], timeout_s: float) -> None:
        """Return when all have ended, after `timeout_s`, or when the stop is forced."""
        give_up_at_s = time.monotonic() + timeout_s
        while any(child.is_alive() for child in children):
            if time.monotonic() > give_up_at_s or self.is_forced:
                return
            self._forward_output(TICK_S / 2)

    def _start(self, child: Child) -> None:
        self._selector.register(child.start(), selectors.EVENT_READ, child)

    def _forward_output(self, timeout_s: float) -> None:
        if not self._selector.get_map():
            time.sleep(timeout_s)  # nobody runs just now
            return
        for key, _ in self._selector.select(timeout_s):
            self._forward(key.data)

    def _forward(self, child: Child) -> None:
        lines = child.read_lines()
        for line in lines or ():
            self._console.line(child.name, line)
        if lines is None and child.output_fd is not None:
            self._selector.unregister(child.output_fd)

    def _restart_dead(self) -> None:
        now_s = time.monotonic()
        for child in self._children.values():
            if child.restart_at_s is None and not child.is_alive():
                self._bury(child)
            elif child.restart_at_s is not None and now_s >= child.restart_at_s:
                self._start(child)

    def _bury(self, child: Child) -> None:
        how = child.note_death()
        self._close(child)
        if child.failures >= MAX_FAILURES:
            raise GaveUp(
                f"{child.name} died {child.failures} times in a row (the last time: {how}); "
                "its own lines above say why. Giving up."
            )
        self._console.say(f"{child.name} died ({how}), restarting in {child.backoff_s:g} s")

    def _close(self, child: Child) -> None:
        """Forward the last lines of a dead process and forget it, unless that has happened."""
        fd = child.output_fd
        if fd is None:
            return
        for _ in range(LAST_READS):
            lines = child.read_lines()
            if lines is None:
                break
            for line in lines:
                self._console.line(child.name, line)
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        child.forget()
