"""The only place that asks this machine for the time of day.

Leases and the times of an execution come from Redis `TIME` instead (shared/lua), so that no two
clocks are ever compared.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-01-31T09:30:00.123Z."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def utc_now_iso() -> str:
    return iso(now_ms())


def instant_ms(text: str) -> int:
    """Milliseconds since the epoch of what `iso` made."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
