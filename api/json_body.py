"""Request bodies: strict JSON, in UTF-8, not too deep, and without numbers that would change when stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import re2
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from shared.errors import BadRequest

DEPTH_MAX = 40

# Nineteen digits or more, not after a decimal point: an integer that may not fit, or a text of digits.
_LONG_INTEGER = re2.compile(rb"(?:^|[^0-9.])[0-9]{19}")
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_ECHO_MAX_CHARS = 40
_CONTAINERS = frozenset((dict, list))


class JsonRoute(APIRoute):
    """A route whose body is parsed by `parse_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def handler(request: Request) -> Response:
            if has_body:
                await _parse(request)
            return await handle(request)

        return handler


async def _parse(request: Request) -> None:
    """Parse the body into where Starlette keeps it, so that the framework finds it parsed.

    Its label does not matter, since curl calls everything a form; without one the framework takes it as JSON.

    Raises:
        BadRequest: the body is not such JSON.
    """
    body = await request.body()
    if not body:
        return
    request._json = parse_json(body)
    request.scope["headers"] = [item for item in request.scope["headers"] if item[0] != b"content-type"]
    request._headers = Headers(scope=request.scope)


def parse_json(body: bytes, *, what: str = "the body") -> Any:
    """The value of a JSON text, which errors call `what`.

    Raises:
        BadRequest: not JSON (NaN, lone surrogates, trailing commas …), nested over 40 levels, or an integer
            outside of 64 bits, which a store or another client would round without a word.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} is not valid JSON: {error}", code="invalid_json") from error
    if _LONG_INTEGER.search(body):
        json.loads(body, parse_int=_checked_int)
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX:
        _check_depth(value, what)
    return value


def _checked_int(text: str) -> int:
    # Longer ones are not even converted: int() takes quadratic time.
    if len(text) > 20 or not _INT_MIN <= int(text) <= _INT_MAX:
        raise BadRequest(
            f"the integer {text[:_ECHO_MAX_CHARS]} does not fit into 64 bits; send it as a string",
            code="invalid_json",
        )
    return int(text)


def _check_depth(value: Any, what: str) -> None:
    """Level by level, so that no depth of nesting can exhaust the stack."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [child for parent in level for child in _containers(parent)]
        if not level:
            return
    raise BadRequest(f"{what} nests deeper than {DEPTH_MAX} levels", code="invalid_json")


def _containers(parent: Any) -> list[Any]:
    children = parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
    if _CONTAINERS.isdisjoint(map(type, children)):  # fast for what is long: a vector
        return []
    return [child for child in children if type(child) in _CONTAINERS]
