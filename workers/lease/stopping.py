"""The flag that a worker is stopping, seen by the main process and by its forked children."""

from __future__ import annotations

import mmap
import struct
import time


class StopFlag:
    """Set once, never cleared. In memory shared across fork, because signals reach the main process only."""

    _FORMAT = struct.Struct(
        "d"
    )  # monotonic seconds of the stop, 0 = running; one clock for all processes of a machine

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._FORMAT.size)

    def set(self) -> None:
        if not self.is_set():
            self._memory[:] = self._FORMAT.pack(time.monotonic())

    def is_set(self) -> bool:
        return self._at() > 0

    def age_s(self) -> float:
        """Seconds since the stop; 0 while running."""
        at = self._at()
        return time.monotonic() - at if at else 0.0

    def _at(self) -> float:
        at: float = self._FORMAT.unpack_from(self._memory)[0]
        return at
