"""The OpenAPI document: valid, complete, and with examples that fit their schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import api.routes
from api.errors import BRANCHES, METHODS
from api.main import build_app
from api.openapi import MADE_UP, example_of
from api.schemas.collections import CollectionCreate
from shared.settings import Settings

# Answered by api.hot.FrontDoor, past the framework.
FRONT_DOOR = [
    ("POST", "/v1/retrievers/execute"),
    ("GET", "/v1/retrievers/executions/{execution_id}"),
    ("GET", "/v1/retrievers/{retriever}/executions/{execution_id}"),
    ("GET", "/v1/retrievers/executions/{execution_id}/events"),
    ("GET", "/v1/retrievers/{retriever}/executions/{execution_id}/events"),
    ("POST", "/v1/retrievers/{retriever}/execute"),
]
# What is not there is deleted, too.
DELETED_TWICE = ("DELETE /v1/tasks/{task_id}", "DELETE /v1/organizations/webhooks/{webhook_id}")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """("GET /v1/me", operation) of all."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").removeprefix("#/components/responses/")
    found: dict[str, Any] = document["components"]["responses"][name] if name else response
    return found


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where, and the media type object: of every request and every answer."""
    for where, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield f"{where} request", media
        for status, response in operation["responses"].items():
            for media in resolved(document, response).get("content", {}).values():
                yield f"{where} {status}", media


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def routes() -> Iterator[APIRoute]:
    """Of every module of api.routes."""
    for module in iter_modules(api.routes.__path__, "api.routes."):
        router = getattr(import_module(module.name), "router", None)
        yield from (route for route in getattr(router, "routes", ()) if isinstance(route, APIRoute))


def test_every_route_is_in_it(document: dict[str, Any]) -> None:
    described = {tuple(where.split(" ", 1)) for where, _ in operations(document)}
    served = {
        (method, route.path) for route in routes() if route.include_in_schema for method in route.methods
    }
    assert described == served
    assert described.issuperset(FRONT_DOOR)


def test_every_operation_has_an_id_that_can_be_a_name(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert [name for name in ids if not re.fullmatch("[a-z]+(_[a-z]+)*", name)] == []
    assert len(set(ids)) == len(ids)
    assert {"executions_execute", "documents_change", "documents_change_by_put"} <= set(ids)


def test_every_tag_is_described(document: dict[str, Any]) -> None:
    used = {tag for _, operation in operations(document) for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"] if tag["description"]} == used


def test_every_operation_says_what_it_does_and_answers(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        assert where.split(" ")[0] in METHODS
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        if "204" in operation["responses"]:
            continue
        success = operation["responses"].get("200") or operation["responses"]["202"]
        [answer] = success["content"].values()  # JSON, or lines of JSON
        assert "schema" in answer, where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (where, parameter["name"])


def test_every_operation_names_its_errors(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        expected = set() if operation.get("security") == [] else {"401", "503"}
        expected |= {"400", "413", "422"} if "requestBody" in operation else set()
        named = {parameter["name"] for parameter in operation.get("parameters", ())}
        expected |= {"404"} if "{" in where and where not in DELETED_TWICE else set()
        expected |= {"400", "404"} if "X-Namespace" in named else set()
        assert expected <= operation["responses"].keys(), where


def test_what_is_not_supported_yet_says_which_values_it_takes(document: dict[str, Any]) -> None:
    parts = document["components"]["schemas"]["CollectionCreate"]["properties"]
    enum = parts["schedule"]["enum"]
    assert enum == [None, False, "", [], {}]
    for value in enum:
        CollectionCreate.model_validate({"collection_name": "novels", "schedule": value})
    with pytest.raises(ValueError, match="not supported yet"):
        CollectionCreate.model_validate({"collection_name": "novels", "schedule": "daily"})


def test_errors_are_the_one_envelope(document: dict[str, Any]) -> None:
    types = {str(status): name for status, name in BRANCHES.values()}
    for where, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and not (where == "GET /v1/health" and status == "503"):
                media = resolved(document, response)["content"]["application/json"]
                assert media["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}, (where, status)
                assert media["example"]["status"] == int(status)
                assert media["example"]["error"]["type"] == types[status]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_example_is_there_and_fits_its_schema(document: dict[str, Any]) -> None:
    for where, media in media_types(document):
        schema = {**media["schema"], "components": document["components"]}
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(media["example"])]
        assert errors == [], where


def texts(value: Any) -> Iterator[str]:
    """All that are anywhere in it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


def test_no_text_of_an_example_is_made_up(document: dict[str, Any]) -> None:
    made_up = [where for where, media in media_types(document) if MADE_UP in texts(_data(media["example"]))]
    assert made_up == []


def _data(example: Any) -> Any:
    """Without the JSON Schemas that it holds, where the same word is a type."""
    if isinstance(example, list):
        return [_data(part) for part in example]
    if not isinstance(example, dict):
        return example
    schemas = ("parameter_schema", "input_schema")
    return {name: _data(part) for name, part in example.items() if name not in schemas}


def test_no_example_of_a_request_is_made_up(document: dict[str, Any]) -> None:
    for where, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            [schema, *_] = media["schema"].get("anyOf", [media["schema"]])
            name = schema.get("$ref", "").removeprefix("#/components/schemas/")
            shown = document["components"]["schemas"][name] if name else schema
            assert {"example", "examples"} & shown.keys(), where


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "#/components/schemas/Point"}, {"x": 3, "y": 0}),
        ({"anyOf": [{"$ref": "#/components/schemas/Point"}, {"type": "null"}]}, {"x": 3, "y": 0}),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Point"}}, [{"x": 3, "y": 0}]),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "string", "examples": ["a", "b"]}, "a"),
        ({"type": "string", "enum": ["asc", "desc"]}, "asc"),
        ({"type": "string", "default": None}, None),
        ({"type": "integer", "minimum": 2}, 2),
    ],
)
def test_an_example_is_made_of_the_examples_of_its_parts(schema: dict[str, Any], expected: object) -> None:
    point = {
        "type": "object",
        "properties": {"x": {"type": "integer", "example": 3}, "y": {"type": "number"}},
    }
    assert example_of(schema, {"Point": point}) == expected
