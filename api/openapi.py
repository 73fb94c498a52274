"""What the generated OpenAPI document says beyond the handlers' signatures."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Response
from pydantic import BaseModel

from api.schemas.common import ErrorAnswer

_REASONS = {
    400: "The request is malformed, or names no namespace.",
    401: "The API key is missing or not valid.",
    403: "The API key lacks the permission.",
    404: "No such resource in this namespace.",
    409: "The name is taken, or the state does not allow it.",
    410: "It existed; its retention has ended.",
    413: "The request body is too large.",
    422: "Values are not acceptable; `error.details.validation_errors` names each place.",
    429: "The queue is full; see Retry-After.",
    503: "Redis, the documents or the workers are away; nothing was stored. See Retry-After.",
    504: "The connection broke after a write was sent; it may or may not have happened.",
}
_ALWAYS = (401, 503)
_SECURITY = {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key, `sk_…`."}}

ANONYMOUS: dict[str, Any] = {"security": []}


def answers(model: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation: its 200 and the errors named; 401 and 503 are added to all."""
    return {200: {"model": model}, **{status: _error(status) for status in statuses}}


def _error(status: int) -> dict[str, Any]:
    return {"model": ErrorAnswer, "description": _REASONS[status]}


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that is not validated again: ready bytes, a model, or plain data."""
    if isinstance(content, BaseModel):
        content = content.model_dump()
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def install(app: FastAPI) -> None:
    """Make the document say that a key is needed, what any call can answer, and what a 422 looks like."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document["components"]["securitySchemes"] = _SECURITY
            document["security"] = [{"api_key": []}]
            for path in document["paths"].values():
                for operation in path.values():
                    _complete(operation)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ErrorAnswer"}
    responses = operation["responses"]
    always = () if operation.get("security") == [] else _ALWAYS
    for status in (*always, *((422,) if "422" in responses else ())):
        content = {"application/json": {"schema": schema}}
        responses[str(status)] = {"description": _REASONS[status], "content": content}
