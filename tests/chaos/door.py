"""The API as the load uses it: several processes asked in turn, until one says what became of the request."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Any

import httpx

_PAUSE_S = 0.2
_TIMEOUT_S = 5.0
# Long enough for the longest outage and what follows it.
_PATIENCE_S = 180.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class Unanswered(Exception):
    """No process of the API settled a request within the patience of the load."""


class Door:
    """Safe for threads. Every request sent through it must be repeatable, as its outcome may be unknown."""

    def __init__(self, ports: Sequence[int], api_key: str, namespace: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}", "X-Namespace": namespace}
        self._clients = [
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}/v1",
                headers=headers,
                timeout=_TIMEOUT_S,
                trust_env=False,
            )
            for port in ports
        ]
        self._turns = itertools.cycle(self._clients)
        self._closed = threading.Event()
        self.crashes: list[str] = []  # answers that must never be: 500

    def close(self) -> None:
        """Whoever still asks gives up."""
        self._closed.set()
        for client in self._clients:
            client.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The first answer that settles it: success, or a refusal that asking again would not change.

        Raises:
            Unanswered: there was none.
        """
        give_up_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up_at and not self._closed.is_set():
            try:
                answer = next(self._turns).request(method, path, **options)
            except httpx.TransportError:
                self._closed.wait(_PAUSE_S)
                continue
            if answer.status_code == 500:
                self.crashes.append(f"{method} {path}: {answer.text[:500]}")
            elif answer.status_code not in _TRY_AGAIN:
                return answer
            self._closed.wait(_PAUSE_S)
        raise Unanswered(f"{method} {path}")

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of a successful answer."""
        return self._json(self.ask("GET", path, **options))

    def post(self, path: str, body: Any, **options: Any) -> Any:
        """The JSON of a successful answer."""
        return self._json(self.ask("POST", path, json=body, **options))

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        assert answer.status_code == 200, f"{answer.request.url}: {answer.status_code} {answer.text[:500]}"
        return answer.json()
