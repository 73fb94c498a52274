"""The one log of `kennel up`: every process's lines on stdout, each with its name in front."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from typing import Literal

import orjson

from shared.clock import utc_now_iso
from shared.logs import mask

NAME_WIDTH = 8
_COLOURS = {"kennel": 35, "redis": 31, "api": 32, "flower": 33}
_WORKER_COLOUR = 36


class Console:
    """Writes whole lines, from any thread. In JSON every line is one object."""

    def __init__(self, log_format: Literal["human", "json"]) -> None:
        self._json = log_format == "json"
        self._colour = sys.stdout.isatty() and not self._json
        self._lock = threading.Lock()
        self.is_broken = False

    def say(self, text: str) -> None:
        """A line of Kennel's own."""
        self.line("kennel", text)

    def line(self, name: str, text: str) -> None:
        """A line of the process called `name`. Secrets are masked; a closed stdout sets `is_broken`."""
        self._write(self._as_json(name, text) if self._json else f"{self._label(name)}| {mask(text)}")

    def paste(self, lines: Sequence[str]) -> None:
        """Lines of Kennel's own to copy from: without a name in front, unless they are JSON."""
        self._write("\n".join(self._as_json("kennel", line) if self._json else line for line in lines))

    def _write(self, text: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(text + "\n")
                sys.stdout.flush()
            except OSError:
                self._give_up_stdout()

    def _give_up_stdout(self) -> None:
        """The reader is gone: send the rest nowhere, so that Python's flush at exit does not fail too."""
        self.is_broken = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _label(self, name: str) -> str:
        label = f"{name:<{NAME_WIDTH}} "
        if not self._colour:
            return label
        return f"\x1b[{_COLOURS.get(name, _WORKER_COLOUR)}m{label}\x1b[0m"

    @staticmethod
    def _as_json(name: str, text: str) -> str:
        if text.startswith("{") and text.endswith("}"):
            return mask(text)
        entry = {
            "ts": utc_now_iso(),
            "level": "info",
            "process": name,
            "event": "output",
            "message": mask(text),
        }
        return orjson.dumps(entry).decode()
