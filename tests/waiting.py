"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout_s: float, description: str) -> T:
    """The first truthy value of `predicate`; fails after `timeout_s` naming what was waited for."""
    ends_at = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > ends_at:
            raise AssertionError(f"waited {timeout_s:g} s for {description}; last seen: {value!r}")
        time.sleep(0.02)
