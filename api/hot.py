"""The front door: execute and poll are answered here, past the framework; everything else goes on to it.

These two are nearly all of the traffic; the streams of events are here, too, as the framework would stand
between them and their client. They are described in OpenAPI (routes/executions.py, routes/adhoc.py)
and share services, errors and authentication with the other operations; only routing, middleware and
response classes are left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from urllib.parse import parse_qs, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import require
from api.call import Answer, Call, access_of, body_of
from api.context import ApiContext
from api.errors import MethodNotAllowed, error_response
from api.etags import matches
from api.event_stream import EventStream
from api.preference import Preference
from api.services.executions.answers import answer_body, location_of, readable_id, with_legacy_results
from api.services.executions.event_feed import END_ID, EventFeed
from api.services.executions.partial import with_partial, without_partial
from api.services.executions.reading import (
    Owner,
    follow,
    learn_wait_reason,
    poll_again_s,
    read,
    read_when,
    wait_reason,
    with_queue_position,
)
from api.services.executions.result_pages import paging_of, with_paging
from api.services.executions.submit import SubmitOptions, idempotency_key, read_body, submit
from shared import ids
from shared.errors import InvalidInput
from shared.logs import log_event
from shared.stores.executions import StoredExecution

logger = logging.getLogger("kennel.api")

_EVENT_ID = re.compile(r"\d{1,15}-\d{1,6}")
_EXECUTE_REFUSES = ("return_presigned_urls", "stream")
_ADHOC_REFUSES = (*_EXECUTE_REFUSES, "explain", "skip_cache")
_GET_REFUSES = ("return_presigned_urls", "return_vectors", "explain", "stream")

# (context, call, names from the path) -> answer
Operation = Callable[..., Awaitable[Answer | EventStream]]


class FrontDoor:
    def __init__(self, app: ASGIApp, context: Callable[[], ApiContext]) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            match scope["raw_path"].split(b"/"):
                case [b"", b"v1", b"retrievers", b"execute"]:
                    await self._serve(scope, receive, send, "POST", _execute_adhoc)
                    return
                case [b"", b"v1", b"retrievers", b"executions", execution_id] if execution_id != b"list":
                    await self._serve(scope, receive, send, "GET", _get_adhoc, execution_id)
                    return
                case [b"", b"v1", b"retrievers", retriever, b"executions", execution_id] if (
                    execution_id != b"list"
                ):
                    await self._serve(scope, receive, send, "GET", _get, retriever, execution_id)
                    return
                case [b"", b"v1", b"retrievers", b"executions", execution_id, b"events"]:
                    await self._serve(scope, receive, send, "GET", _events_adhoc, execution_id)
                    return
                case [b"", b"v1", b"retrievers", retriever, b"executions", execution_id, b"events"]:
                    await self._serve(scope, receive, send, "GET", _events, retriever, execution_id)
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
                call.body = await body_of(receive, context.settings.body_max_bytes)
            names = [_unquoted(name) for name in raw_names]
            answer = await operation(context, call, *names)
        except Exception as error:
            status, headers, body = error_response(error)
            if status == 500:
                logger.exception("request failed")
            answer = Answer(status, body, headers)
        else:
            if isinstance(answer, EventStream):
                await answer.send(receive, send)
                return
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


async def _execute(context: ApiContext, call: Call, owner: Owner) -> Answer | EventStream:
    access = await access_of(context, call)
    require(access.principal, "read")
    _refuse_flags(
        call, _ADHOC_REFUSES if owner is None else _EXECUTE_REFUSES, "does not work here; leave it out"
    )
    preference = Preference.of(call.header(b"prefer"))
    call.flag("skip_cache")  # there is no cache yet, so both values do the same
    options = SubmitOptions(
        wait_s=preference.execute_wait_s(access.principal, context.settings),
        idempotency_key=idempotency_key(call.header(b"idempotency-key")),
        return_vectors=call.flag("return_vectors"),
        explain=call.flag("explain"),
    )
    legacy_results = call.flag("include_legacy_results")
    body = read_body(owner, call.body)
    with ExitStack() as slot:
        if body.run.stream:
            slot.enter_context(context.streams.slot())  # before anything is accepted
        stored = await submit(context, access, owner, body, options)
        if body.run.stream:
            return _stream(context, call, stored, None, slot.pop_all())
    stored = await _partial(context, call, stored)
    return await _submitted(context, with_legacy_results(stored) if legacy_results else stored, preference)


async def _execute_adhoc(context: ApiContext, call: Call) -> Answer | EventStream:
    return await _execute(context, call, None)


async def _submitted(context: ApiContext, stored: StoredExecution, preference: Preference) -> Answer:
    await learn_wait_reason(context, stored)
    answer = _described(context, await with_queue_position(context, stored))
    answer.status = 202 if preference.respond_async and not stored.is_terminal else 200
    answer.headers.append((b"location", location_of(stored).encode()))
    answer.headers += preference.applied()
    return answer


async def _get(context: ApiContext, call: Call, owner: Owner, execution_id: str) -> Answer:
    access = await access_of(context, call)
    require(access.principal, "read")
    _refuse_flags(call, _GET_REFUSES, "cannot change a stored result; send it with execute")
    paging = paging_of(call.query) if call.query else None
    execution_id = readable_id(execution_id)
    known = call.header(b"if-none-match")
    preference = Preference.of(call.header(b"prefer"))
    if preference.wait_s:
        await context.health.load()

        def satisfied(stored: StoredExecution) -> bool:
            return stored.is_terminal or (known is not None and not matches(known, _etag(context, stored)))

        stored = await read_when(context, access, owner, execution_id, preference.wait_s, satisfied)
    else:
        stored = await read(context, access, owner, execution_id)
    await learn_wait_reason(context, stored)
    if known is not None and matches(known, _etag(context, stored)):
        return Answer(304, headers=[*_state_headers(context, stored), *preference.applied()])
    if paging is not None:
        stored = await with_paging(context, access, owner, stored, paging)
    stored = await _partial(context, call, stored)
    if call.flag("include_legacy_results"):
        stored = with_legacy_results(stored)
    answer = _described(context, await with_queue_position(context, stored))
    answer.headers += preference.applied()
    return answer


async def _partial(context: ApiContext, call: Call, stored: StoredExecution) -> StoredExecution:
    if call.flag("partial_results", default=True):
        return await with_partial(context, stored)
    return without_partial(stored)


async def _get_adhoc(context: ApiContext, call: Call, execution_id: str) -> Answer:
    return await _get(context, call, None, execution_id)


async def _events(context: ApiContext, call: Call, owner: Owner, execution_id: str) -> Answer | EventStream:
    access = await access_of(context, call)
    require(access.principal, "read")
    last_id = call.header(b"last-event-id") or None
    if last_id is not None and last_id != END_ID and not _EVENT_ID.fullmatch(last_id):
        raise InvalidInput.at(
            ("header", "Last-Event-ID"), "is no id of an event; leave it out to begin anew", value=last_id
        )
    with ExitStack() as slot:
        slot.enter_context(context.streams.slot())
        stored = await follow(context, access, owner, readable_id(execution_id))
        if last_id == END_ID and stored.is_terminal:
            return Answer(204)  # tells an EventSource to connect no more
        after = None if last_id == END_ID else last_id
        return _stream(context, call, stored, after, slot.pop_all())


async def _events_adhoc(context: ApiContext, call: Call, execution_id: str) -> Answer | EventStream:
    return await _events(context, call, None, execution_id)


def _stream(
    context: ApiContext, call: Call, stored: StoredExecution, last_id: str | None, slot: ExitStack
) -> EventStream:
    async def check() -> None:
        require((await access_of(context, call)).principal, "read")

    headers = [(b"location", location_of(stored).encode()), *_mode(stored)]
    feed = EventFeed(context, stored, last_id, check)
    return EventStream(feed.frames(), headers, slot, context.streams)


def _described(context: ApiContext, stored: StoredExecution) -> Answer:
    headers = [*_state_headers(context, stored), *_mode(stored)]
    return Answer(200, answer_body(context, stored), headers)


def _mode(stored: StoredExecution) -> list[tuple[bytes, bytes]]:
    return [(b"x-execution-mode", b"adhoc")] if ids.is_adhoc(stored.retriever_id) else []


def _state_headers(context: ApiContext, stored: StoredExecution) -> list[tuple[bytes, bytes]]:
    headers = [(b"etag", _etag(context, stored).encode()), (b"cache-control", b"no-cache")]
    if not stored.is_terminal:
        headers.append((b"retry-after", str(poll_again_s(context, stored)).encode()))
    return headers


def _etag(context: ApiContext, stored: StoredExecution) -> str:
    """The revision, and of a pending one why it waits.

    Weak then (RFC 9110, 8.8.1): its place in the queue changes all the time, which is no reason to answer.
    """
    reason = wait_reason(context, stored)
    return f'W/"{stored.revision}-{reason}"' if reason else f'"{stored.revision}"'


def _refuse_flags(call: Call, names: Sequence[str], reason: str) -> None:
    for name in names if call.query else ():
        if call.flag(name):
            raise InvalidInput.at(("query", name), reason)
