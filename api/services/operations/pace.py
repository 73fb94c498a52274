"""How fast executions leave the queues, and how long a place there takes at that pace."""

from __future__ import annotations

import math

_WINDOW_S = 10.0
_LONGEST_S = 60


class Pace:
    """Measured between now and a mark that is one to two windows old. Pure."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []  # (when, how many had been started): at most two, and now
        self._now = (0.0, 0)

    def note(self, at_s: float, started: int) -> None:
        """So many executions have ever been started."""
        self._now = (at_s, started)
        if not self._marks or started < self._marks[-1][1]:  # the first look, or another server
            self._marks = [self._now]
        elif at_s - self._marks[-1][0] >= _WINDOW_S:
            self._marks = [self._marks[-1], self._now]

    @property
    def per_second(self) -> float:
        """0 while nothing is known, or nothing happens."""
        (since_s, before), (now_s, now) = self._marks[0] if self._marks else self._now, self._now
        return (now - before) / (now_s - since_s) if now_s > since_s else 0.0

    def seconds_for(self, places: int, *, unknown: int) -> int:
        """When so many more will have been started (s, from 1 to 60); `unknown` while there is no pace."""
        per_second = self.per_second
        if per_second <= 0:
            return unknown
        return min(max(math.ceil(places / per_second), 1), _LONGEST_S)
