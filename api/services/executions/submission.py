"""What a request asks for, checked and resolved, as the submission of an execution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.context import ApiContext
from api.schemas.execution import RunBody
from shared import submission
from shared.errors import raise_invalid
from shared.models.execution import ExecutionRequest
from shared.models.resource import RetrieverRecord
from shared.parameters import filter_errors
from shared.stores.executions import Submission


async def submission_of(
    context: ApiContext,
    retriever: RetrieverRecord,
    body: RunBody,
    execution_id: str,
    extra: Mapping[str, Any] | None = None,
) -> Submission:
    """
    Args:
        extra: More members of the answer, which never change.

    Raises:
        InvalidInput: inputs or filters. NotFound: a collection.
    """
    plan = submission.submit_plan(retriever)
    inputs = plan.validate(body.inputs)
    if body.filters:
        raise_invalid(filter_errors(body.filters, ("filters",)))
    request = ExecutionRequest(
        inputs=inputs,
        collection_ids=await _collections(context, retriever, body),
        filters=body.filters or None,
        page=body.page(),
        warnings=body.warnings(),
        interpretation=plan.interpretation(body.inputs, inputs, body.filters),
        expand=body.expand or (),
        return_vectors=body.return_vectors,
        consistency=body.consistency.model_dump() if body.consistency else None,
        write_token=body.write_token,
        stream=body.stream,
    )
    return submission.submission_of(retriever, request, execution_id, extra)


async def _collections(context: ApiContext, retriever: RetrieverRecord, body: RunBody) -> list[str]:
    """The request's own, else the retriever's, else every collection of the namespace."""
    namespace_id = retriever.namespace_id
    if body.collection_identifiers:
        identifiers = body.collection_identifiers
        known = context.collections.cached(namespace_id, identifiers)
        return known or await context.collections.resolve(namespace_id, identifiers)
    if retriever.collection_ids:
        return list(retriever.collection_ids)
    return await context.collections.all_ids(namespace_id)
