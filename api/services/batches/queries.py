"""A batch: several executions of one retriever in one request, answered in the order of its queries."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.schemas.batch import CONCURRENCY_DEFAULT, QUERIES_MAX, BatchBody, BatchQuery, BatchSettings
from api.schemas.execution import ExecuteBody
from api.services.executions.answers import answer_body
from api.services.executions.partial import with_partial
from api.services.executions.reading import learn_wait_reason
from api.services.executions.submit import Idempotency, accept
from api.services.validation import validated
from shared.errors import InvalidInput, KennelError, Unavailable
from shared.stores.executions import StoredExecution

Outcome = StoredExecution | KennelError


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of one batch, and who asks them."""

    context: ApiContext
    access: Access
    retriever: str
    body: BatchBody
    idempotency_key: str | None

    async def check(self) -> None:
        """
        Raises:
            InvalidInput: too many queries. NotFound: the retriever.
        """
        _check_count(len(self.body.queries))
        await self.context.retrievers.resolve(self.access.namespace_id, self.retriever)

    async def submit(self, index: int, *, wait_s: float) -> Outcome:
        """One of them, held as an execute's answer; or why it was not accepted."""
        try:
            one = _body_of(self.body, index, self.body.queries[index])
            idempotency = None
            if self.idempotency_key is not None:
                idempotency = Idempotency(f"batch/{index}", self.idempotency_key, one.model_dump())
            return await accept(
                self.context, self.access, self.retriever, one, wait_s=wait_s, idempotency=idempotency
            )
        except KennelError as error:
            return error

    def summary(self) -> dict[str, Any]:
        """What is said of the batch as a whole."""
        return {"total_queries": len(self.body.queries), "warnings": self.body.warnings()}


async def execute_batch(queries: Queries, *, wait_s: float) -> list[bytes]:
    """One JSON object for each query: its execution, or the error that kept it from being accepted.

    While the answer is held, at most `concurrency` of them run at once; when the time is over, those that
    have not begun are submitted all the same and answered as they are.

    Raises:
        InvalidInput: too many queries, or a concurrency that cannot be kept. NotFound: the retriever.
        Whatever kept the first query from being accepted, if none was, and it was no fault of the queries.
    """
    await queries.check()
    context, concurrency = queries.context, queries.body.concurrency
    _check_concurrency(concurrency, wait_s)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    turns = asyncio.Semaphore(concurrency if wait_s > 0 else QUERIES_MAX)

    async def run(index: int) -> Outcome:
        async with turns:
            return await queries.submit(index, wait_s=max(0.0, ends_at - loop.time()))

    outcomes = await asyncio.gather(*map(run, range(len(queries.body.queries))))
    _raise_common(outcomes)
    await learn_wait_reason(context, *(each for each in outcomes if isinstance(each, StoredExecution)))
    answered = await asyncio.gather(*(shown(context, each) for each in outcomes))
    return [entry(context, index, outcome) for index, outcome in enumerate(answered)]


async def shown(context: ApiContext, outcome: Outcome) -> Outcome:
    """With the documents so far; what was accepted is answered as such, even when Redis is away since."""
    if isinstance(outcome, StoredExecution):
        with suppress(Unavailable):
            return await with_partial(context, outcome)
    return outcome


def _check_count(count: int) -> None:
    if count > QUERIES_MAX:
        message = f"a batch holds at most {QUERIES_MAX} queries, this one {count}; send several batches"
        raise InvalidInput(
            f"queries: {message}",
            errors=[{"loc": ["queries"], "msg": message, "type": "too_long"}],
            details={"limits": {"max_queries": QUERIES_MAX}},
        )


def _check_concurrency(concurrency: int, wait_s: float) -> None:
    if wait_s <= 0 and concurrency != CONCURRENCY_DEFAULT:
        raise InvalidInput.at(
            ("concurrency",),
            "is kept only while the answer is held; send `Prefer: wait=N` or `stream` too, or leave it out",
            value=concurrency,
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


def entry(context: ApiContext, index: int, outcome: Outcome) -> bytes:
    """What the answer holds of one query, a JSON object."""
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
