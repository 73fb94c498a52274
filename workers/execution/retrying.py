"""Errors that may pass, and how long to wait for that."""

from __future__ import annotations

import random

from shared.errors import KennelError, TransientError, Unavailable

FIRST_DELAY_S = 1.0
_MAX_DELAY_S = 60.0
_ASKED_MAX_S = 300.0  # whoever asks for more is asked sooner


def may_pass(error: Exception) -> bool:
    """Timeouts, broken connections, and services that say that they are busy or away (429, 5xx)."""
    return isinstance(error, TransientError | Unavailable | ConnectionError | TimeoutError)


def delay_s(attempt: int, error: Exception) -> float:
    """Until the next attempt: exponential up to a cap, half of it at random, or longer if the service asks.

    Args:
        attempt: The one that has failed, from 1.
    """
    bound_s = min(FIRST_DELAY_S * 2 ** (attempt - 1), _MAX_DELAY_S)
    asked_s = error.details.get("retry_after_seconds", 0.0) if isinstance(error, KennelError) else 0.0
    return max(random.uniform(bound_s / 2, bound_s), min(float(asked_s), _ASKED_MAX_S))
