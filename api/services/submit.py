"""Submit: from a request's bytes to a stored execution. Free of FastAPI: the front door calls it directly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.context import ApiContext
from api.deps import Access
from api.errors import from_validation
from api.json_body import parse_json
from api.schemas.execution import ExecuteBody
from api.services.executions import next_page, replayed, until
from shared import ids
from shared.errors import InvalidInput, NotFound, raise_invalid
from shared.inputs import InputValidator, compile_inputs, inputs_hash
from shared.models.execution import Budget, Detail, ExecutionRequest, figures, pagination_of
from shared.models.resource import RetrieverRecord
from shared.parameters import filter_errors
from shared.stores.executions import (
    IdempotencyMismatch,
    Replayed,
    StaleRetriever,
    StoredExecution,
    Submission,
)
from shared.templates import references

_QUERY_SUMMARY_CHARS = 200
_LOOK_UPS = 3


@dataclass(frozen=True, slots=True)
class SubmitPlan:
    """What one version of a retriever brings to each of its executions, worked out once."""

    validate: InputValidator
    schema_keys: frozenset[str]
    used_keys: frozenset[str]
    budget: Budget
    first_stage: bytes
    head: bytes  # members of the answer that never change
    shadow: bytes


@lru_cache(maxsize=2048)
def submit_plan(retriever: RetrieverRecord) -> SubmitPlan:
    definition = retriever.definition
    schema: Mapping[str, Any] = definition["input_schema"] or {}
    stages = definition["stages"]
    limits = definition["budget_limits"] or {}
    head = {
        "retriever_id": retriever.retriever_id,
        "retriever_name": retriever.name,
        "execution_mode": "retriever",
        "total_stages": len(stages),
    }
    return SubmitPlan(
        compile_inputs(schema),
        frozenset(schema),
        frozenset(_used_inputs(stages)),
        Budget(limits.get("max_credits"), limits.get("max_time_ms")),
        orjson.dumps(stages[0]["stage_name"]),
        orjson.dumps(head)[1:-1],
        orjson.dumps(f"{retriever.name}@{retriever.namespace_id}")[1:-1],
    )


async def submit(
    context: ApiContext,
    access: Access,
    id_or_name: str,
    raw_body: bytes,
    *,
    idempotency_key: str | None,
    wait_s: float,
) -> StoredExecution:
    """Accept an execution; with `wait_s`, return it when it has ended or the time is over.

    Raises:
        BadRequest, InvalidInput: the body. NotFound: retriever or collection. LimitExceeded: the queue.
        Unavailable: nothing was stored. OutcomeUnknown: it may have been; the id is in the details.
    """
    body, plain = _parsed(raw_body)
    if body.cursor:
        return await next_page(context, access, id_or_name, body)
    execution_id = ids.execution_id()
    with context.wakeups.listening(execution_id) as changed:
        for _ in range(_LOOK_UPS):
            retriever = await context.retrievers.resolve(access.namespace_id, id_or_name)
            submission = await _submission(context, access, retriever, body, execution_id)
            if idempotency_key:
                submission.idempotency_digest = _digest(access, retriever.retriever_id, idempotency_key)
                submission.body_digest = hashlib.sha256(
                    orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
                ).hexdigest()
            submission.watcher = context.wakeups.name if wait_s > 0 else ""
            try:
                stored = await context.executions.submit(submission)
                break
            except StaleRetriever:
                context.retrievers.forget(access.namespace_id, id_or_name)
            except IdempotencyMismatch as error:
                raise InvalidInput(
                    "this Idempotency-Key was used with another body; use a new key or the first body",
                    code="idempotency_key_reused",
                ) from error
        else:
            raise NotFound(
                f"retriever {id_or_name!r} is being changed; try again", code="retriever_not_found"
            )
        if isinstance(stored, Replayed):
            return await replayed(context, stored.execution_id, wait_s)
        if wait_s <= 0:
            return stored
        return await until(context, stored, execution_id, changed, wait_s, lambda now: now.is_terminal)


def _parsed(raw_body: bytes) -> tuple[ExecuteBody, Any]:
    plain = parse_json(raw_body) if raw_body else {}
    try:
        return ExecuteBody.model_validate(plain), plain
    except ValidationError as error:
        errors = [{**each, "loc": _without_tag(each["loc"])} for each in error.errors()]
        raise from_validation(RequestValidationError(errors)) from error


def _without_tag(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """pydantic names the branch of a union as if it were a field: pagination.cursor.limit."""
    return (loc[0], *loc[2:]) if len(loc) > 2 and loc[0] == "pagination" else loc


async def _submission(
    context: ApiContext, access: Access, retriever: RetrieverRecord, body: ExecuteBody, execution_id: str
) -> Submission:
    plan = submit_plan(retriever)
    inputs = plan.validate(body.inputs)
    if body.filters:
        raise_invalid(filter_errors(body.filters, ("filters",)))
    page = body.page()
    warnings = body.warnings()
    interpretation = _interpretation(plan, body, inputs)
    request = ExecutionRequest(
        inputs=inputs,
        collection_ids=await _collections(context, access, retriever, body),
        filters=body.filters or None,
        page=page,
        warnings=warnings,
        interpretation=interpretation,
    )
    digest = inputs_hash(inputs)
    detail = Detail(
        budget=plan.budget.report(0.0, 0.0),
        pagination=pagination_of(page, 0, 0, None),
        warnings=warnings,
        interpretation=interpretation,
    )
    head = (
        b'{"execution_id":"'
        + execution_id.encode()
        + b'",'
        + plan.head
        + b',"inputs_hash":"'
        + digest.encode()
        + b'"'
    )
    return Submission(
        execution_id=execution_id,
        namespace_id=access.namespace_id,
        retriever_id=retriever.retriever_id,
        version=retriever.version,
        request=request.to_json(),
        head=head,
        detail=detail.to_json(),
        first_stage=plan.first_stage,
        shadow=plan.shadow,
        figures=figures(),
        about=orjson.dumps({"inputs_hash": digest, "query_summary": _query_summary(inputs)})[1:-1],
        collection_ids=request.collection_ids,
    )


async def _collections(
    context: ApiContext, access: Access, retriever: RetrieverRecord, body: ExecuteBody
) -> list[str]:
    """The request's own, else the retriever's, else every collection of the namespace."""
    if body.collection_identifiers is not None:
        identifiers = body.collection_identifiers
        known = context.collections.cached(access.namespace_id, identifiers)
        return known or await context.collections.resolve(access.namespace_id, identifiers)
    if retriever.collection_ids:
        return list(retriever.collection_ids)
    return await context.collections.all_ids(access.namespace_id)


def _used_inputs(templates: Any) -> set[str]:
    return {path.split(".", 1)[0] for namespace, path in references(templates) if namespace == "INPUT"}


def _interpretation(plan: SubmitPlan, body: ExecuteBody, inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = body.inputs
    used = plan.schema_keys | plan.used_keys
    if body.filters:
        used |= _used_inputs(body.filters)
    return {
        "provided_input_keys": sorted(given),
        "inferred_inputs": {name: value for name, value in inputs.items() if name not in given},
        "ignored_input_keys": sorted(name for name in given if name not in used),
        "relaxations": [],
    }


def _query_summary(inputs: Mapping[str, Any]) -> str | None:
    query = inputs.get("query")
    return query[:_QUERY_SUMMARY_CHARS] if isinstance(query, str) else None


def _digest(access: Access, retriever_id: str, idempotency_key: str) -> str:
    """A key is its caller's own, for one namespace and one route."""
    scope = "\0".join(
        (access.principal.key_id, access.namespace_id, f"execute/{retriever_id}", idempotency_key)
    )
    return hashlib.sha256(scope.encode()).hexdigest()
