"""A batch: several executions of one retriever in one request, answered in the order of its queries."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.schemas.batch import CONCURRENCY_DEFAULT, QUERIES_MAX, BatchBody, BatchQuery, BatchSettings
from api.schemas.execution import ExecuteBody
from api.services.executions.answers import answer_body
from api.services.executions.reading import learn_wait_reason
from api.services.executions.submit import Idempotency, accept
from api.services.validation import validated
from shared.errors import InvalidInput, KennelError
from shared.stores.executions import StoredExecution

Outcome = StoredExecution | KennelError


async def execute_batch(
    context: ApiContext,
    access: Access,
    retriever: str,
    body: BatchBody,
    *,
    wait_s: float,
    idempotency_key: str | None,
) -> list[bytes]:
    """One JSON object for each query: its execution, or the error that kept it from being accepted.

    While the answer is held, at most `concurrency` of them run at once; when the time is over, those that
    have not begun are submitted all the same and answered as they are.

    Raises:
        InvalidInput: too many queries, or a concurrency that cannot be kept. NotFound: the retriever.
        Whatever kept the first query from being accepted, if none was, and it was no fault of the queries.
    """
    _check(body, wait_s)
    await context.retrievers.resolve(access.namespace_id, retriever)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    turns = asyncio.Semaphore(body.concurrency if wait_s > 0 else QUERIES_MAX)

    async def run(index: int, query: Any) -> Outcome:
        async with turns:
            try:
                one = _body_of(body, index, query)
                idempotency = None
                if idempotency_key is not None:
                    idempotency = Idempotency(f"batch/{index}", idempotency_key, one.model_dump())
                left_s = max(0.0, ends_at - loop.time())
                return await accept(context, access, retriever, one, wait_s=left_s, idempotency=idempotency)
            except KennelError as error:
                return error

    outcomes = await asyncio.gather(*(run(index, query) for index, query in enumerate(body.queries)))
    _raise_common(outcomes)
    await learn_wait_reason(context, *(each for each in outcomes if isinstance(each, StoredExecution)))
    return [_entry(context, index, outcome) for index, outcome in enumerate(outcomes)]


def _check(body: BatchBody, wait_s: float) -> None:
    count = len(body.queries)
    if count > QUERIES_MAX:
        message = f"a batch holds at most {QUERIES_MAX} queries, this one {count}; send several batches"
        raise InvalidInput(
            f"queries: {message}",
            errors=[{"loc": ["queries"], "msg": message, "type": "too_long"}],
            details={"limits": {"max_queries": QUERIES_MAX}},
        )
    if wait_s <= 0 and body.concurrency != CONCURRENCY_DEFAULT:
        raise InvalidInput.at(
            ("concurrency",),
            "is kept only while the answer is held; send `Prefer: wait=N` too, or leave it out",
            value=body.concurrency,
        )


def _body_of(body: BatchBody, index: int, query: Any) -> ExecuteBody:
    one = validated(BatchQuery, query, at=("queries", index))
    limit = (body.settings or BatchSettings()).limit
    fields = {
        "inputs": one.inputs,
        "filters": one.filters,
        "limit": limit,
        "return_vectors": body.return_vectors,
    }
    # Unknown keys are named in the warnings of the query's answer.
    unknown = {f"queries[{index}].{key}": None for key in one.unknown_keys()}
    return ExecuteBody.model_validate(fields | unknown)


def _raise_common(outcomes: list[Outcome]) -> None:
    """What is no fault of the queries, such as a full queue, fails the request when none was accepted."""
    errors = [each for each in outcomes if isinstance(each, KennelError)]
    if len(errors) == len(outcomes):
        for error in errors:
            if not isinstance(error, InvalidInput):
                raise error


def _entry(context: ApiContext, index: int, outcome: Outcome) -> bytes:
    if isinstance(outcome, StoredExecution):
        return b'{"query_index":%d,' % index + answer_body(context, outcome)[1:]
    return orjson.dumps(
        {
            "query_index": index,
            "status": "failed",
            "documents": [],
            "error": outcome.message,
            "error_code": outcome.code,
            "error_details": outcome.details,
        }
    )
