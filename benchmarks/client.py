"""A small blocking HTTP client: one kept connection, JSON in and out."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from benchmarks.figures import BenchError

TIMEOUT_S = 30.0


class Client:
    def __init__(self, host: str, port: int, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._headers = {"Content-Type": "application/json", **headers}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        """The answer's object. A body of bytes is JSON already.

        Raises:
            BenchError: the answer is not 2xx.
            OSError, http.client.HTTPException: there was none.
        """
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self._connection.request(method, path, raw, {**self._headers, **headers})
        response = self._connection.getresponse()
        answer = response.read()
        if not 200 <= response.status < 300:
            raise BenchError(f"{method} {path} was answered {response.status}: {answer[:500]!r}")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def close(self) -> None:
        self._connection.close()
