"""Errors that may pass, and how long to wait for that."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from shared.embeddings.retries import retry_after_s
from shared.errors import KennelError, TransientError
from shared.settings import Settings

_AWAY = (ConnectionError, TimeoutError, httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after how long; times in ms."""

    retries_max: int
    first_ms: int
    max_ms: int

    @classmethod
    def of(cls, settings: Settings) -> RetryPolicy:
        return cls(settings.retries_max, settings.retry_first_ms, settings.retry_max_ms)

    def delay_ms(self, retries: int, error: TransientError) -> int:
        """How long to wait after an attempt with `retries` before it; never more than `max_ms`.

        Drawn from the upper half of a bound that doubles each time ("equal jitter", AWS Architecture Blog,
        2015), on top of what the service asks for: never earlier, and not all at the same moment.
        """
        bound_ms = min(self.first_ms * 2**retries, self.max_ms)
        asked_ms: float = error.details.get("retry_after_seconds", 0.0) * 1000
        return math.ceil(min(asked_ms + random.uniform(bound_ms / 2, bound_ms), self.max_ms))


def as_transient(error: Exception) -> TransientError | None:
    """A service that is away for now: it does not answer, or with 429 or 5xx. None: it would fail again."""
    if isinstance(error, KennelError):
        return TransientError(error.message, details=error.details) if error.retryable else None
    if isinstance(error, httpx.HTTPStatusError):
        return _of_status(error.response)
    if isinstance(error, _AWAY):
        return TransientError(f"a service does not answer ({type(error).__name__})")
    return None


def _of_status(response: httpx.Response) -> TransientError | None:
    if response.status_code != HTTPStatus.TOO_MANY_REQUESTS and not response.is_server_error:
        return None
    asked_s = retry_after_s(response.headers.get("Retry-After", ""))
    details = {} if asked_s is None else {"retry_after_seconds": asked_s}
    return TransientError(f"a service answers {response.status_code}", details=details)
