"""Around the framework: the limit of bodies, one log line per request, slashes inside of names."""

from __future__ import annotations

import logging
import time
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from shared.errors import TooLarge
from shared.logs import log_event

# Stands for an encoded slash while the path is split; a private-use character that no name can hold.
SLASH = "\ue02f"

# Operations whose body is read as a stream.
_UPLOADS = frozenset({("POST", "/v1/batches")})

logger = logging.getLogger("kennel.api")


class Boundary:
    """Wraps the framework; no exception gets past it."""

    def __init__(self, app: ASGIApp, *, body_max_bytes: int, upload_max_bytes: int) -> None:
        """`upload_max_bytes` is for the bodies that are read as a stream, never as a whole."""
        self._app = app
        self._body_max_bytes = body_max_bytes
        self._upload_max_bytes = upload_max_bytes

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
            is_upload = (scope["method"], scope["path"]) in _UPLOADS
            max_bytes = self._upload_max_bytes if is_upload else self._body_max_bytes
            _check_announced(scope, max_bytes)
            await self._app(_with_slashes(scope), _limited(receive, max_bytes), watched_send)
        except Exception as error:
            if not isinstance(error, TooLarge):
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


def _check_announced(scope: Scope, max_bytes: int) -> None:
    """Raises TooLarge before a byte of the body is read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise _too_large(max_bytes)


def _limited(receive: Receive, max_bytes: int) -> Receive:
    """`receive`, raising TooLarge once the body is over the limit, which it need not have announced."""
    size_bytes = 0

    async def limited() -> Message:
        nonlocal size_bytes
        message = await receive()
        size_bytes += len(message.get("body", b""))
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        return message

    return limited


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(
        f"the request body is over {max_bytes:,} bytes; send less at a time",
        details={"body_max_bytes": max_bytes},
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
