"""What the client raises: one tree, so that `except KennelError` catches all of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from client.models import Execution

_TEXT_MAX_CHARS = 200


class KennelError(Exception):
    """Base of everything the client raises. The message says what was wrong and what to do next."""


class NotConfigured(KennelError):
    """The URL, key or namespace is missing or malformed; nothing was sent."""


class NoAnswer(KennelError):
    """The server could not be reached, or the connection broke before the answer was complete."""


class WaitTimeout(KennelError):
    """The execution had not ended in time. It goes on; `execution` is its last known state."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(
            f"{execution.execution_id} has not ended in time, it is {execution.status}; "
            "it goes on, so wait for it again or cancel it"
        )
        self.execution = execution


class ExecutionFailed(KennelError):
    """An execution ended without a result: it failed or was cancelled."""

    def __init__(self, execution: Execution) -> None:
        reason = f": {execution.error}" if execution.error else ""
        super().__init__(f"{execution.execution_id} {execution.status}{reason}")
        self.execution = execution


class ApiError(KennelError):
    """The server refused the request. `status` is that of HTTP; `code` is a stable word."""

    def __init__(self, status: int, message: str, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.details = details


class BadRequest(ApiError):
    """400: malformed, or no namespace was named."""


class Unauthorized(ApiError):
    """401: the key is missing, wrong, revoked or expired."""


class Forbidden(ApiError):
    """403: the key may not do this."""


class NotFound(ApiError):
    """404: no such thing in this namespace."""


class Conflict(ApiError):
    """409: the name is taken."""


class Gone(ApiError):
    """410: the result has expired."""


class TooLarge(ApiError):
    """413: the body is over the server's limit."""


class InvalidInput(ApiError):
    """422: a value is not acceptable; `details["validation_errors"]` names each place."""


class LimitExceeded(ApiError):
    """429: the queue is full."""


class Unavailable(ApiError):
    """503: something that the server needs is away; nothing was stored."""


class OutcomeUnknown(ApiError):
    """504: it may or may not have happened; `details` say what to look at."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: InvalidInput,
    429: LimitExceeded,
    503: Unavailable,
    504: OutcomeUnknown,
}


def api_error(status: int, body: bytes) -> ApiError:
    """The error that an answer stands for, also when it is not Kennel's (a proxy's page, say)."""
    error_class = _BY_STATUS.get(status, ApiError)
    try:
        error = orjson.loads(body)["error"]
        return error_class(status, error["message"], error.get("code") or "", error.get("details") or {})
    except (ValueError, LookupError, TypeError, AttributeError):
        text = body[:_TEXT_MAX_CHARS].decode("utf-8", "replace").strip()
        message = f"answered {status} without Kennel's error body; is this the URL of a Kennel API? {text}"
        return error_class(status, message.rstrip(), "", {})
