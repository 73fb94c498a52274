"""Several executions in one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.deps import ContextDep, PathName, ReadAccess, RecheckDep
from api.event_stream import EventStream, StreamingAnswer
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.preference import Preference
from api.schemas.batch import BatchBody
from api.schemas.execution_answers import BatchAnswer
from api.services.batches.queries import Queries, execute_batch
from api.services.batches.query_stream import QueryStream
from api.services.documents.answers import joined
from api.services.executions.submit import idempotency_key
from shared.errors import InvalidInput

router = APIRouter(prefix="/v1/retrievers", tags=["executions"], route_class=JsonRoute)


@router.post(
    "/{retriever}/execute/batch",
    summary="Execute a retriever with several inputs",
    responses=answers(BatchAnswer, 404, 422, 429, 504),
)
async def batch(
    retriever: PathName,
    context: ContextDep,
    access: ReadAccess,
    recheck: RecheckDep,
    body: BatchBody,
    return_vectors: Annotated[bool, Query(description="Add each document's vectors to its payload.")] = False,
    return_presigned_urls: Annotated[bool, Query(description="Not supported yet.")] = False,
    prefer: Annotated[str | None, Header(description="`wait=N` holds the answer.")] = None,
    idempotency: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key", description="Same key and query: the same execution, for each query."
        ),
    ] = None,
) -> Response:
    """1 to 16 queries, each an execution of its own; what is wrong with one shows in its result only.

    Without a wait all are submitted at once and answered as `pending`. With `stream` each result is sent when
    its query has ended, as an event `query_result`; the last event is `batch_complete`.
    """
    if return_presigned_urls:
        raise InvalidInput.at(("query", "return_presigned_urls"), "is not supported yet; leave it out")
    body.return_vectors = body.return_vectors or return_vectors
    queries = Queries(context, access, retriever, body, idempotency_key(idempotency))
    if body.stream:
        return await _streamed(queries, recheck)
    preference = Preference.of(prefer)
    wait_s = preference.execute_wait_s(access.principal, context.settings)
    results = await execute_batch(queries, wait_s=wait_s)
    content = joined("results", results, queries.summary())
    applied = {
        name.decode(): value.decode() for name, value in Preference(preference.wait_s, False).applied()
    }
    return json_response(content, headers=applied)


async def _streamed(queries: Queries, check: Callable[[], Awaitable[object]]) -> Response:
    """
    Raises:
        As a batch that does not stream. LimitExceeded: too many streams, and nothing was accepted.
    """
    streams = queries.context.streams
    with ExitStack() as slot:
        slot.enter_context(streams.slot())
        await queries.check()
        frames = QueryStream(queries.context, queries, check).frames()
        return StreamingAnswer(EventStream(frames, [], slot.pop_all(), streams))
