"""The outermost layer: one log line per request, no exception past it, and slashes inside of names."""

from __future__ import annotations

import logging
import time
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from shared.logs import log_event

# Stands for an encoded slash while the path is split; a private-use character that no name can hold.
SLASH = "\ue02f"

logger = logging.getLogger("kennel.api")


class Outermost:
    """Wraps the whole ASGI app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started_s = time.perf_counter()

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(_with_slashes(scope), receive, watched_send)
        except Exception as error:
            logger.exception("request failed")
            if not status:
                await _send_error(error, watched_send)
        log_event(
            logger,
            "http.request",
            level=logging.DEBUG,
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_ms=(time.perf_counter() - started_s) * 1000,
        )


def _with_slashes(scope: Scope) -> Scope:
    """The scope with `%2F` of the raw path as `SLASH`, so that it does not split a name (contract 1.1)."""
    raw_path: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw_path.lower():
        return scope
    path = unquote(raw_path.decode("latin-1").replace("%2f", "%2F").replace("%2F", SLASH))
    return {**scope, "path": path}


async def _send_error(error: Exception, send: Send) -> None:
    status, headers, body = error_response(error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
