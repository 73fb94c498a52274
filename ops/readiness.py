"""Whether the API answers and workers are online, asked over HTTP like any client would."""

from __future__ import annotations

import time
from types import TracebackType

import httpx

PROBE_TIMEOUT_S = 1.5
PROBE_EVERY_S = 0.25


class Readiness:
    """A question that can be asked in a tight loop; it goes out at most every PROBE_EVERY_S."""

    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=PROBE_TIMEOUT_S, trust_env=False)
        self._next_at_s = 0.0
        self.missing = "the API does not answer"

    def __enter__(self) -> Readiness:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def __call__(self) -> bool:
        """True once the API answers and at least one worker is online; until then `missing` says why not."""
        if time.monotonic() < self._next_at_s:
            return False
        self.missing = self._ask()
        self._next_at_s = time.monotonic() + PROBE_EVERY_S
        return not self.missing

    def _ask(self) -> str:
        try:
            self._client.get("/v1/health/liveness").raise_for_status()
            health = self._client.get("/v1/health").json()
        except (httpx.HTTPError, ValueError) as error:
            return f"the API does not answer ({type(error).__name__})"
        return "" if health.get("workers_online", 0) >= 1 else "the API answers, but no worker is online"
