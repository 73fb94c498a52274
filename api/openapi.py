"""What the OpenAPI document says beyond the handlers: tags, errors, headers, examples, the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api import alert_examples, answer_examples, examples
from api.errors import BRANCHES
from api.schemas.common import ErrorAnswer

DESCRIPTION = """\
Send a key in each request: `Authorization: Bearer sk_…`. Collections, documents, retrievers and executions
live in a namespace; name it in `X-Namespace`. An execution is answered as soon as it is stored: poll it by
its id, with `Prefer: wait=10` to be answered when it ends. Every error has the same shape.
"""

# In the order in which a reader meets them.
_TAGS = {
    "namespaces": "Separate worlds within one installation; a key can be limited to some of them.",
    "collections": "Documents of one kind, and how their text is made searchable.",
    "documents": "Write, read, list, count and change what collections hold.",
    "stages": "What a retriever can be made of.",
    "retrievers": "Named, versioned definitions: the stages that an execution runs.",
    "executions": "Runs of a retriever: submit, poll, cancel, look back.",
    "ad-hoc executions": "Runs of stages that are sent along, without a retriever.",
    "batches": "Thousands of executions in one upload, followed and cancelled together.",
    "alerts": "Retrievers that run by themselves, and tell people what they find, or that they find nothing.",
    "tasks": "Whatever runs in the background, in every namespace that the key may use.",
    "discovery": "What this installation can do, without a key.",
    "webhooks": "Be told of ends of executions instead of asking: signed, retried for hours, recorded.",
    "api keys": "Who may do what. Only a key with the permission admin manages keys.",
    "identity": "Who a key is.",
    "health": "Whether it runs, for people and for probes.",
    "stats": "How many executions there were, and where they are now.",
}

# Status -> what it means, a code and a message that come with it.
_ERRORS = {
    400: (
        "The request is malformed, or names no namespace.",
        "invalid_json",
        "the body is not valid JSON: unexpected end of data",
    ),
    401: ("The API key is missing or not valid.", "unauthorized", "send Authorization: Bearer sk_…"),
    403: ("The API key lacks the permission.", "forbidden", "this API key may not write"),
    404: ("No such resource in this namespace.", "not_found", "there is no collection 'novls' here"),
    409: (
        "The name is taken, or the state does not allow it.",
        "conflict",
        "the name 'novels' is taken; choose another",
    ),
    410: ("It existed; its retention has ended.", "gone", "the result of this execution has expired"),
    413: (
        "The request body is too large.",
        "too_large",
        "the request body is over 10,000,000 bytes; send less at a time",
    ),
    422: (
        "Values are not acceptable; `error.details.validation_errors` names each place.",
        "invalid_input",
        "limit: must be at least 1",
    ),
    429: (
        "The queue is full; see Retry-After.",
        "queue_full",
        "the queue is full (100000 executions are pending); try again later",
    ),
    503: (
        "Redis, the documents or the workers are away; nothing was stored. See Retry-After.",
        "unavailable",
        "Redis is not reachable; try again shortly",
    ),
    504: (
        "The connection broke after a write was sent; it may or may not have happened.",
        "outcome_unknown",
        "Redis did not answer in time; the outcome is unknown",
    ),
}
_DETAILS: Mapping[int, dict[str, Any]] = {
    422: {"validation_errors": [{"loc": ["limit"], "msg": "must be at least 1", "type": "value_error"}]},
    429: {"retry_after_seconds": 5},
    503: {"retry_after_seconds": 2},
    504: {"retryable": False},
}
_RETRY_AFTER = {"Retry-After": {"description": "When to try again (s).", "schema": {"type": "integer"}}}
_SECURITY = {"api_key": {"type": "http", "scheme": "bearer", "description": "An API key, `sk_…`."}}
_PARAMETERS = {**examples.PARAMETERS, **answer_examples.PARAMETERS, **alert_examples.PARAMETERS}
_REF = "#/components/schemas/"
_OWN_ERRORS = (f"{_REF}ErrorAnswer", f"{_REF}HTTPValidationError")

MADE_UP = "string"  # stands for a text of which no example is given

ANONYMOUS: dict[str, Any] = {"security": []}


def answers(model: Any, *statuses: int, headers: Mapping[str, str] | None = None) -> dict[int | str, Any]:
    """The `responses` of an operation: its 200 and the errors that are its own.

    What follows from its place is added to the document by itself: 401 and 503 where a key is needed, 400 and
    413 where there is a body.

    Args:
        headers: name -> description of those that come with the 200.
    """
    success: dict[str, Any] = {"model": model}
    if headers:
        success["headers"] = described(headers)
    return {200: success, **answers_of_errors(*statuses)}


def answers_of_errors(*statuses: int) -> dict[int | str, Any]:
    """The errors that are an operation's own, where its 200 is described apart."""
    return {status: {"model": ErrorAnswer} for status in statuses}


def described(headers: Mapping[str, str]) -> dict[str, Any]:
    """Headers of an answer as the document has them."""
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that is not validated again: ready bytes, a model, or plain data."""
    if isinstance(content, BaseModel):
        content = content.model_dump()
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def operation_id(route: APIRoute) -> str:
    """Tag and handler, such as `documents_get`; PUT shares its handler with PATCH."""
    words = [*map(str, route.tags), route.name, *(["by_put"] if route.methods == {"PUT"} else [])]
    return "_".join(words).replace(" ", "_").replace("-", "_")


def install(app: FastAPI) -> None:
    """Complete the document that the framework generates, once."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    components = document["components"]
    schemas = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for name, example in {**examples.MODELS, **answer_examples.MODELS, **alert_examples.MODELS}.items():
        schemas[name]["examples"] = [example]
    components["securitySchemes"] = _SECURITY
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    components["responses"] = {_name(status): _error(status) for status in _ERRORS}
    document["security"] = [{"api_key": []}]
    for path in document["paths"].values():
        for operation in path.values():
            _complete_operation(operation, schemas)


def _complete_operation(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    responses = operation["responses"]
    anonymous = operation.get("security") == []
    statuses = {int(status) for status, response in responses.items() if _is_own_error(response)}
    statuses |= set() if anonymous else {401, 503}
    statuses |= {400, 413} if "requestBody" in operation else set()
    statuses |= {400, 404} if "X-Namespace" in _parameters(operation) else set()  # none named, or unknown
    responses |= {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses}
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in _PARAMETERS:
            parameter["example"] = _PARAMETERS[parameter["name"]]
    for part in (operation.get("requestBody", {}), *responses.values()):
        for media in part.get("content", {}).values():
            media["example"] = example_of(media["schema"], schemas)


def _parameters(operation: Mapping[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in operation.get("parameters", ())}


def _is_own_error(response: Mapping[str, Any]) -> bool:
    contents = response.get("content", {}).values()
    return any(content["schema"].get("$ref") in _OWN_ERRORS for content in contents)


def _name(status: int) -> str:
    """What the contract calls it: NotFoundError."""
    return next(type_name for known, type_name in BRANCHES.values() if known == status)


def _error(status: int) -> dict[str, Any]:
    """The answer of a status, under `components.responses`."""
    description, code, message = _ERRORS[status]
    body = {"message": message, "type": _name(status), "code": code, "details": _DETAILS.get(status, {})}
    example = {"success": False, "status": status, "error": body}
    content = {"schema": {"$ref": _OWN_ERRORS[0]}, "example": example}
    answer: dict[str, Any] = {"description": description, "content": {"application/json": content}}
    return answer | {"headers": _RETRY_AFTER} if status in (429, 503) else answer


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value of a schema: its own example or default, else one made of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(_REF)], schemas)
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    for given in ("example", "const", "default"):
        if given in schema:
            return schema[given]
    for given in ("anyOf", "oneOf"):
        if given in schema:
            return example_of(schema[given][0], schemas)
    return _example_of_type(schema, schemas)


def _example_of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {})
            return {name: example_of(part, schemas) for name, part in parts.items()}
        case "array":
            return [example_of(schema["items"], schemas)] if "$ref" in schema["items"] else []
        case "string":
            return MADE_UP
        case "boolean":
            return False
        case "integer" | "number":
            return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", 0))
        case _:
            return None
