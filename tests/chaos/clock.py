"""The clock of one process, to be put off while it runs. See site/sitecustomize.py."""

from __future__ import annotations

import struct
from pathlib import Path


class Clock:
    """A file that the process has mapped into its memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(struct.pack("q", 0))

    @property
    def environment(self) -> dict[str, str]:
        return {"CHAOS_CLOCK": str(self._path)}

    def put_off(self, by_s: float) -> None:
        """At once, and until the next call; 0 puts it right."""
        with self._path.open("r+b") as file:
            file.write(struct.pack("q", int(by_s * 1e9)))
