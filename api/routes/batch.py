"""Several executions in one request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.deps import ContextDep, PathName, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.preference import Preference
from api.schemas.batch import BatchBody
from api.schemas.execution_answers import BatchAnswer
from api.services.batches.queries import execute_batch
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

    Without a wait all are submitted at once and answered as `pending`.
    """
    if return_presigned_urls:
        raise InvalidInput.at(("query", "return_presigned_urls"), "is not supported yet; leave it out")
    body.return_vectors = body.return_vectors or return_vectors
    preference = Preference.of(prefer)
    results = await execute_batch(
        context,
        access,
        retriever,
        body,
        wait_s=preference.execute_wait_s(access.principal, context.settings),
        idempotency_key=idempotency_key(idempotency),
    )
    content = joined("results", results, {"total_queries": len(results), "warnings": body.warnings()})
    applied = {
        name.decode(): value.decode() for name, value in Preference(preference.wait_s, False).applied()
    }
    return json_response(content, headers=applied)
