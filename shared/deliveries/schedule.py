"""When a failed delivery is tried again. docs/webhooks.md shows the table that this makes."""

from __future__ import annotations

import random

FACTOR = 3
DELAY_MAX_S = 10_800.0
JITTER = 0.2


def delay_s(tries: int, first_delay_s: float) -> float:
    """The pause after so many tries: a geometric row from `first_delay_s` on, capped, without jitter."""
    exponent = min(tries - 1, 30)  # far beyond the cap; a float must not overflow
    return min(first_delay_s * float(FACTOR**exponent), DELAY_MAX_S)


def next_delay_s(tries: int, first_delay_s: float, retry_after_s: float | None) -> float:
    """The pause with jitter, or as long as the receiver asked for when that is longer, within the cap."""
    planned_s = delay_s(tries, first_delay_s) * random.uniform(1 - JITTER, 1 + JITTER)
    return max(planned_s, min(retry_after_s or 0.0, DELAY_MAX_S))
