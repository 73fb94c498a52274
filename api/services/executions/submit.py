"""Submit: from a request's bytes to a stored execution. Free of FastAPI: the front door calls it directly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.json_body import parse_json
from api.schemas.execution import AdhocBody, ExecuteBody, RunBody
from api.services.executions.adhoc import adhoc_retriever
from api.services.executions.explain import explain_plan
from api.services.executions.reading import Owner, replayed, room_in_s, until
from api.services.executions.result_pages import further_page
from api.services.executions.submission import submission_of
from api.services.validation import validated
from shared import ids
from shared.errors import BadRequest, InvalidInput, LimitExceeded, NotFound, Unavailable
from shared.models.alert_run import AlertRun
from shared.models.batch import BatchPlace
from shared.models.resource import RetrieverRecord
from shared.stores.executions import IdempotencyMismatch, Replayed, StaleRetriever, StoredExecution

_LOOK_UPS = 3
_IDEMPOTENCY_KEY_MAX_CHARS = 255


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What a request says outside of its body. The flags do the same as the body's fields of their names."""

    wait_s: float
    idempotency_key: str | None = None
    return_vectors: bool = False
    explain: bool = False


def idempotency_key(header: str | None) -> str | None:
    """The value of `Idempotency-Key`, quoted (the IETF draft) or bare.

    Raises:
        BadRequest: it is empty or too long.
    """
    if header is None:
        return None
    bare = header.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(bare) <= _IDEMPOTENCY_KEY_MAX_CHARS:
        raise BadRequest(f"Idempotency-Key must have 1 to {_IDEMPOTENCY_KEY_MAX_CHARS} characters")
    return bare


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Which submits are the same: those of a key on one route, with one body (JSON)."""

    route: str
    key: str
    body: Any

    def digest(self, access: Access, retriever_id: str) -> str:
        """A key is its caller's own, for one namespace, route and retriever."""
        scope = (access.principal.key_id, access.namespace_id, f"{self.route}/{retriever_id}", self.key)
        return hashlib.sha256("\0".join(scope).encode()).hexdigest()

    def body_digest(self) -> str:
        return hashlib.sha256(orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, slots=True)
class SubmitBody:
    """A body, checked, and as it was sent."""

    run: RunBody
    plain: Any


def read_body(owner: Owner, raw_body: bytes) -> SubmitBody:
    """
    Raises:
        BadRequest, InvalidInput: it is no JSON, or not acceptable.
    """
    plain = parse_json(raw_body) if raw_body else {}
    return SubmitBody(validated(AdhocBody if owner is None else ExecuteBody, plain), plain)


async def submit(
    context: ApiContext, access: Access, owner: Owner, asked: SubmitBody, options: SubmitOptions
) -> StoredExecution:
    """Accept an execution; with a wait, return it when it has ended or the time is over.

    Raises:
        BadRequest, InvalidInput: the inputs. NotFound: retriever or collection. LimitExceeded: the queue.
        Unavailable: nothing was stored. OutcomeUnknown: it may have been; the id is in the details.
    """
    body = asked.run
    if body.pagination is not None:
        stored_page = body.pagination.stored(await context.cursors.secret())
        if stored_page is not None:
            if body.stream:
                raise InvalidInput.at(("stream",), "a further page is read, not run; leave it out")
            return await further_page(context, access, owner, *stored_page, body.page_warnings())
    if options.return_vectors:
        body.return_vectors = True
    extra: Mapping[str, Any] | None = None
    if isinstance(body, ExecuteBody) and (body.explain or options.explain) and owner is not None:
        extra = {"explain_plan": await explain_plan(context, access, owner, body.inputs)}
    idempotency = None
    if options.idempotency_key:
        idempotency = Idempotency("execute", options.idempotency_key, asked.plain)
    wait_s = 0.0 if body.stream else options.wait_s
    return await accept(context, access, owner, body, wait_s=wait_s, idempotency=idempotency, extra=extra)


async def accept(
    context: ApiContext,
    access: Access,
    owner: Owner,
    body: RunBody,
    *,
    wait_s: float,
    idempotency: Idempotency | None = None,
    extra: Mapping[str, Any] | None = None,
) -> StoredExecution:
    """As `submit`, of a body that is checked already; `extra` are more members of the answer."""
    execution_id = ids.execution_id()
    with context.wakeups.listening(execution_id) as changed:
        watcher = context.wakeups.name if wait_s > 0 or body.stream else ""
        stored = await store(
            context, access, owner, body, execution_id, idempotency=idempotency, extra=extra, watcher=watcher
        )
        if isinstance(stored, Replayed):
            return await replayed(context, stored.execution_id, wait_s)
        with suppress(Unavailable):  # that would say that nothing was stored
            stored = await until(context, stored, execution_id, changed, wait_s, lambda now: now.is_terminal)
        return stored


async def store(
    context: ApiContext,
    access: Access,
    owner: Owner,
    body: RunBody,
    execution_id: str,
    *,
    idempotency: Idempotency | None = None,
    extra: Mapping[str, Any] | None = None,
    watcher: str = "",
    place: BatchPlace | None = None,
    alert: AlertRun | None = None,
) -> StoredExecution | Replayed:
    """The new execution as it is stored: by itself, at its place in a batch, or evaluating an alert.

    Raises:
        As `submit`.
    """
    for _ in range(_LOOK_UPS):
        retriever = await _runnable(context, access, owner, body)
        submission = await submission_of(context, retriever, body, execution_id, extra)
        if idempotency is not None:
            submission.idempotency_digest = idempotency.digest(access, retriever.retriever_id)
            submission.body_digest = idempotency.body_digest()
        submission.watcher = watcher
        submission.priority = body.priority or ("interactive" if watcher else "normal")
        submission.place = place
        if alert is not None:
            submission.alert_id, submission.alert = alert.alert_id, alert.to_json()
        try:
            return await context.executions.submit(submission)
        except StaleRetriever as error:
            _forget(context, access, owner, error)
        except LimitExceeded as error:
            error.details["retry_after_seconds"] = await room_in_s(context, error.details.pop("waiting"))
            raise
        except IdempotencyMismatch as error:
            raise InvalidInput(
                "this Idempotency-Key was used with another body; use a new key or the first body",
                code="idempotency_key_reused",
            ) from error
    raise NotFound(f"retriever {owner!r} is being changed; try again", code="retriever_not_found")


async def _runnable(context: ApiContext, access: Access, owner: Owner, body: RunBody) -> RetrieverRecord:
    """The retriever's current version; for an ad-hoc body what stands for one."""
    if owner is not None:
        return await context.retrievers.resolve(access.namespace_id, owner)
    assert isinstance(body, AdhocBody)
    return adhoc_retriever(access.namespace_id, body, await context.catalogue.current())


def _forget(context: ApiContext, access: Access, owner: Owner, error: StaleRetriever) -> None:
    """Look the retriever up again next time; an ad-hoc body has none: its namespace is gone."""
    if owner is None:
        raise NotFound("the namespace was deleted", code="namespace_not_found") from error
    context.retrievers.forget(access.namespace_id, owner)
