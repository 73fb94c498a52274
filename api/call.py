"""A request and its answer as the front door sees them, and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Receive

from api.context import ApiContext
from api.deps import Access
from shared.errors import BadRequest, InvalidInput, TooLarge

_FLAG = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(slots=True)
class Call:
    """One request, as far as these operations look at it."""

    headers: dict[bytes, bytes]
    query: dict[str, list[str]]
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("utf-8", "replace")

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query; the default when it is not there. Raises InvalidInput for another word."""
        if name not in self.query:
            return default
        value = self.query[name][-1]
        if value.lower() not in _FLAG:
            raise InvalidInput.at(("query", name), "must be true or false", value=value)
        return _FLAG[value.lower()]


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


async def body_of(receive: Receive, max_bytes: int) -> bytes:
    """Raises TooLarge, whether the length was announced or not."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("the client went away before the body was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge(
                f"the request body is over {max_bytes:,} bytes; send less",
                details={"body_max_bytes": max_bytes},
            )
        if not message.get("more_body", False):
            return chunk if not chunks else b"".join([*chunks, chunk])
        chunks.append(chunk)


async def access_of(context: ApiContext, call: Call) -> Access:
    authorization = call.headers.get(b"authorization")
    principal = context.authenticator.cached(authorization) if authorization else None
    if principal is None:
        principal = await context.authenticator.authenticate(authorization)
    name = call.header(b"x-namespace") or next(iter(call.query.get("namespace", ())), None)
    namespace_id = context.namespaces.cached(principal, name) if name else None
    if namespace_id is None:
        namespace_id = await context.namespaces.resolve(principal, name)
    return Access(principal, namespace_id)
