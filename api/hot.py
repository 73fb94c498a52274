"""The front door: execute and poll are answered here, past the framework; everything else goes on to it.

These two are nearly all of the traffic. They are described in OpenAPI (api/routes/executions.py) and
share services, errors and authentication with the other operations; only routing, middleware and
response classes are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import require
from api.context import ApiContext
from api.deps import Access
from api.errors import MethodNotAllowed, error_response
from api.services.executions import read, read_when, wait_reason
from api.services.submit import submit
from shared.errors import BadRequest, InvalidInput, TooLarge
from shared.logs import log_event
from shared.stores.executions import StoredExecution

logger = logging.getLogger("kennel.api")

WAIT_MAX_S = 60.0
_NO_WORKER_RETRY_S = 5
_IDEMPOTENCY_KEY_MAX_CHARS = 255
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d+(?:\.\d+)?)\"?", re.IGNORECASE)
_RESPOND_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)
_EXECUTION_ID = re.compile(r"exec_[A-Za-z0-9_-]{1,64}")
# Query parameters of the contract that these operations do not do yet.
_UNSUPPORTED_FLAGS = (
    "return_presigned_urls",
    "return_vectors",
    "explain",
    "include_legacy_results",
    "stream",
)
_PAGING_QUERY = ("method", "page_size", "page_number", "limit", "cursor", "scroll_id")


@dataclass(slots=True)
class Call:
    """One request, as far as these operations look at it."""

    headers: dict[bytes, bytes]
    query: dict[str, list[str]]
    body: bytes = b""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("utf-8", "replace")


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


# (context, call, names from the path) -> answer
Operation = Callable[..., Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Preference:
    """RFC 7240: `Prefer: respond-async, wait=N`. What is not understood is ignored, as the RFC asks."""

    wait_s: float | None
    respond_async: bool

    @classmethod
    def of(cls, header: str | None) -> Preference:
        if not header:
            return cls(None, False)
        wait = _WAIT.search(header)
        return cls(min(float(wait[1]), WAIT_MAX_S) if wait else None, bool(_RESPOND_ASYNC.search(header)))

    def applied(self) -> list[tuple[bytes, bytes]]:
        parts = ["respond-async"] if self.respond_async else []
        if self.wait_s is not None:
            parts.append(f"wait={self.wait_s:g}")
        return [(b"preference-applied", ", ".join(parts).encode())] if parts else []


class FrontDoor:
    def __init__(self, app: ASGIApp, context: Callable[[], ApiContext]) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            match scope["raw_path"].split(b"/"):
                case [b"", b"v1", b"retrievers", retriever, b"executions", execution_id] if (
                    execution_id != b"list"
                ):
                    await self._serve(scope, receive, send, "GET", _get, retriever, execution_id)
                    return
                case [b"", b"v1", b"retrievers", retriever, b"execute"]:
                    await self._serve(scope, receive, send, "POST", _execute, retriever)
                    return
        await self._app(scope, receive, send)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, method: str, operation: Operation, *raw_names: bytes
    ) -> None:
        try:
            if scope["method"] != method:
                raise MethodNotAllowed(f"this path takes {method}", details={"allow": method})
            context = self._context()
            query = scope["query_string"]
            call = Call(dict(scope["headers"]), parse_qs(query.decode("latin-1")) if query else {})
            if method == "POST":
                call.body = await _body(receive, context.settings.body_max_bytes)
            names = [_unquoted(name) for name in raw_names]
            answer = await operation(context, call, *names)
        except Exception as error:
            status, headers, body = error_response(error)
            if status == 500:
                logger.exception("request failed")
            answer = Answer(status, body, headers)
        else:
            if answer.status != 304:
                answer.headers.append((b"content-type", b"application/json"))
                answer.headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})
        log_event(
            logger,
            "http.request",
            level=logging.DEBUG,
            method=method,
            path=scope["path"],
            status=answer.status,
        )


def _unquoted(name: bytes) -> str:
    return (unquote_to_bytes(name) if b"%" in name else name).decode("utf-8", "replace")


async def _body(receive: Receive, max_bytes: int) -> bytes:
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


async def _access(context: ApiContext, call: Call) -> Access:
    authorization = call.headers.get(b"authorization")
    principal = context.authenticator.cached(authorization) if authorization else None
    if principal is None:
        principal = await context.authenticator.authenticate(authorization)
    name = call.header(b"x-namespace") or next(iter(call.query.get("namespace", ())), None)
    namespace_id = context.namespaces.cached(principal, name) if name else None
    if namespace_id is None:
        namespace_id = await context.namespaces.resolve(principal, name)
    return Access(principal, namespace_id)


async def _execute(context: ApiContext, call: Call, retriever: str) -> Answer:
    access = await _access(context, call)
    require(access.principal, "read")
    _refuse_flags(call)
    preference = Preference.of(call.header(b"prefer"))
    if preference.wait_s is not None:
        wait_s = preference.wait_s
    elif preference.respond_async:
        wait_s = 0.0
    else:
        wait_s = access.principal.default_wait_s or context.settings.execute_wait_s
    stored = await submit(
        context,
        access,
        retriever,
        call.body,
        idempotency_key=_idempotency_key(call),
        wait_s=wait_s,
    )
    return await _submitted(context, stored, preference)


async def _submitted(context: ApiContext, stored: StoredExecution, preference: Preference) -> Answer:
    execution_id = stored.execution_id
    status = 202 if preference.respond_async and not stored.is_terminal else 200
    location = f"/v1/retrievers/{quote(stored.retriever_id)}/executions/{execution_id}"
    await _learn_wait_reason(context, stored)
    answer = _described(context, stored)
    answer.status = status
    answer.headers.append((b"location", location.encode()))
    answer.headers += preference.applied()
    return answer


async def _get(context: ApiContext, call: Call, retriever: str, execution_id: str) -> Answer:
    access = await _access(context, call)
    require(access.principal, "read")
    _refuse_flags(call)
    if call.query and any(name in call.query for name in _PAGING_QUERY):
        raise InvalidInput(
            "paging a finished execution by GET is not supported yet; send its cursor to execute"
        )
    if not _EXECUTION_ID.fullmatch(execution_id):
        execution_id = "exec_-"  # no execution has such an id: the same 404 as for any unknown one
    known = call.header(b"if-none-match")
    preference = Preference.of(call.header(b"prefer"))
    if preference.wait_s:
        await context.health.load()

        def satisfied(stored: StoredExecution) -> bool:
            return stored.is_terminal or (known is not None and not _matches(known, _etag(context, stored)))

        stored = await read_when(context, access, retriever, execution_id, preference.wait_s, satisfied)
    else:
        stored = await read(context, access, retriever, execution_id)
    await _learn_wait_reason(context, stored)
    if known is not None and _matches(known, _etag(context, stored)):
        return Answer(304, headers=[*_state_headers(context, stored), *preference.applied()])
    answer = _described(context, stored)
    answer.headers += preference.applied()
    return answer


async def _learn_wait_reason(context: ApiContext, stored: StoredExecution) -> None:
    """It is part of the answer and its ETag, so what is remembered of the workers must not be too old."""
    if stored.status == "pending":
        await context.health.load()


def _described(context: ApiContext, stored: StoredExecution) -> Answer:
    reason = wait_reason(context, stored)
    waiting = b',"wait_reason":"' + reason.encode() + b'"' if reason else b',"wait_reason":null'
    body = stored.head + stored.state + waiting + stored.detail
    return Answer(200, body, _state_headers(context, stored))


def _state_headers(context: ApiContext, stored: StoredExecution) -> list[tuple[bytes, bytes]]:
    headers = [(b"etag", _etag(context, stored).encode()), (b"cache-control", b"no-cache")]
    if not stored.is_terminal:
        retry_s = _NO_WORKER_RETRY_S if wait_reason(context, stored) == "no_worker_online" else 1
        headers.append((b"retry-after", str(retry_s).encode()))
    return headers


def _etag(context: ApiContext, stored: StoredExecution) -> str:
    """Strong: the revision, and what the API itself adds to the answer."""
    reason = wait_reason(context, stored)
    return f'"{stored.revision}-{reason}"' if reason else f'"{stored.revision}"'


def _matches(header: str, etag: str) -> bool:
    """RFC 9110, 13.1.2: a list of tags or `*`, compared weakly."""
    candidates = (candidate.strip().removeprefix("W/") for candidate in header.split(","))
    return any(candidate in (etag, "*") for candidate in candidates)


def _idempotency_key(call: Call) -> str | None:
    """The header's value, quoted (the IETF draft) or bare."""
    value = call.header(b"idempotency-key")
    if value is None:
        return None
    bare = value.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(bare) <= _IDEMPOTENCY_KEY_MAX_CHARS:
        raise BadRequest(f"Idempotency-Key must have 1 to {_IDEMPOTENCY_KEY_MAX_CHARS} characters")
    return bare


def _refuse_flags(call: Call) -> None:
    for name in _UNSUPPORTED_FLAGS if call.query else ():
        if any(value.lower() not in ("false", "0", "") for value in call.query.get(name, ())):
            raise InvalidInput.at(("query", name), "is not supported yet; leave it out")
