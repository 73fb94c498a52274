"""Every error as the one envelope of contract 1.5. The only place that knows errors and statuses."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.errors import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    Gone,
    InvalidInput,
    KennelError,
    LimitExceeded,
    NotFound,
    OutcomeUnknown,
    TooLarge,
    Unauthorized,
    Unavailable,
    dotted,
)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RETRY_AFTER_S = 2  # when the error does not say better

_ERRORS_MAX = 50
_INPUT_MAX_CHARS = 200

logger = logging.getLogger("kennel.api")


class NotBuilt(KennelError):
    """An operation of the contract that this version does not have."""

    code = "not_built"


class MethodNotAllowed(KennelError):
    """The path exists, with other methods; `details["allow"]` lists them."""

    code = "method_not_allowed"


# Branch of the error tree -> (status, `error.type`). The nearest base class decides.
BRANCHES: Mapping[type[Exception], tuple[int, str]] = {
    BadRequest: (400, "BadRequestError"),
    Unauthorized: (401, "UnauthorizedError"),
    Forbidden: (403, "ForbiddenError"),
    NotFound: (404, "NotFoundError"),
    MethodNotAllowed: (405, "MethodNotAllowedError"),
    Conflict: (409, "ConflictError"),
    Gone: (410, "GoneError"),
    TooLarge: (413, "TooLargeError"),
    InvalidInput: (422, "ValidationError"),
    LimitExceeded: (429, "RateLimitError"),
    Exception: (500, "InternalError"),
    NotBuilt: (501, "NotImplementedError"),
    Unavailable: (503, "ServiceUnavailableError"),
    OutcomeUnknown: (504, "OutcomeUnknownError"),
}


def error_response(error: Exception) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body) of an error, ready for `http.response.start`.

    An error that is not one of ours gets a fixed text: its own may hold secrets.
    """
    status, type_name = _branch(error)
    message, code, details = _facts(error, status)
    extra: dict[str, Any] = {"message": message, "type": type_name, "code": code, "details": details}
    body = orjson.dumps({"success": False, "status": status, "error": extra}, default=str)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if "retry_after_seconds" in details:
        headers.append((b"retry-after", str(math.ceil(details["retry_after_seconds"])).encode()))
    if "allow" in details:
        headers.append((b"allow", str(details["allow"]).encode()))
    return status, headers, body


def _branch(error: Exception) -> tuple[int, str]:
    return next(BRANCHES[base] for base in type(error).__mro__ if base in BRANCHES)


def _facts(error: Exception, status: int) -> tuple[str, str, dict[str, Any]]:
    """(message, code, details) to show."""
    if status == 500 or not isinstance(error, KennelError):
        return "something went wrong inside Kennel; its log has the details", "internal", {}
    details = dict(error.details)
    if status in (429, 503):
        details.setdefault("retry_after_seconds", RETRY_AFTER_S)
    if status == 504:
        details["retryable"] = False
    return error.message, error.code, details


# pydantic names the branch of a union as if it were a field; ours are tagged so.
_BRANCH = "$"
_NO_OBJECT = ("dict_type", "model_type", "model_attributes_type")  # its words for these name our classes


def from_validation(error: RequestValidationError) -> KennelError:
    """Pydantic's report in our words: the place from the body's root, the reason, the value."""
    found = error.errors()
    errors = [_field_error(each) for each in found[:_ERRORS_MAX]]
    first = f"{dotted(errors[0]['loc'])}: {errors[0]['msg']}"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidInput(first + more, errors=errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    loc: Sequence[str | int] = error["loc"]
    if loc and loc[0] == "body":
        loc = loc[1:]
    loc = [part for part in loc if not str(part).startswith(_BRANCH)]
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in _NO_OBJECT:
        message = "must be a JSON object"
    field: FieldError = {"loc": list(loc), "msg": message, "type": str(error["type"])}
    value = error.get("input")
    if value is None or isinstance(value, bool | int | float):
        field["input"] = value
    elif isinstance(value, str):
        field["input"] = value[:_INPUT_MAX_CHARS]
    return field


def from_http(error: HTTPException) -> KennelError:
    """What the framework refuses by itself, as one of our errors."""
    match error.status_code:
        case 404:
            return NotFound("there is no such path; /docs lists them all", code="no_such_path")
        case 405:
            allow = (error.headers or {}).get("Allow", "")
            return MethodNotAllowed(f"this path takes {allow}", details={"allow": allow})
        case _:
            return BadRequest(str(error.detail))


def install(app: FastAPI) -> None:
    """Make every error of the app one envelope."""

    async def ours(request: Request, error: Exception) -> Response:
        return _as_response(error)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _as_response(from_validation(error))

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            error.headers = {"Allow": ", ".join(_methods(request))}
        return _as_response(from_http(error))

    app.add_exception_handler(KennelError, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(Exception, ours)


def _methods(request: Request) -> list[str]:
    """Every method of the path; the framework itself names those of one route only."""
    scopes = {method: {**request.scope, "method": method} for method in METHODS}
    routes = request.app.router.routes
    return [
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    ]


def _as_response(error: Exception) -> Response:
    status, headers, body = error_response(error)
    response = Response(body, status_code=status)
    response.raw_headers = headers
    return response
