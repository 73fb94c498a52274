"""When to ask an endpoint again."""

from __future__ import annotations

import random
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from shared.clock import now_ms
from shared.errors import Unavailable

T = TypeVar("T")

RETRIES = 3
FIRST_DELAY_S, MAX_DELAY_S = 0.5, 8.0
# Who is asked to wait for longer gives up: the caller has better to do.
MAX_RETRY_AFTER_S = 10.0
_DAY_S = 86_400.0


def with_retries(call: Callable[[], T], pause: Callable[[float], None]) -> T:
    """Repeat `call` while it raises Unavailable, `RETRIES` times at most.

    A pause is drawn at random below a bound that grows exponentially up to a cap ("full jitter", AWS
    Architecture Blog, 2015), on top of what the error's `retry_after_seconds` asks for.
    """
    for attempt in range(RETRIES):
        try:
            return call()
        except Unavailable as error:
            asked_s = error.details.get("retry_after_seconds", 0.0)
            if asked_s > MAX_RETRY_AFTER_S:
                raise
        pause(asked_s + random.uniform(0, min(FIRST_DELAY_S * 2**attempt, MAX_DELAY_S)))
    return call()


def retry_after_s(header: str) -> float | None:
    """The seconds that a Retry-After header (RFC 9110, 10.2.3) asks for, at most a day; else None."""
    try:
        asked_s = float(header) if header.isdecimal() else _until_s(header)
    except (ValueError, OverflowError):
        return None
    return min(max(asked_s, 0.0), _DAY_S)


def _until_s(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - now_ms() / 1000
