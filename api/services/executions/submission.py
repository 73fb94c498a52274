"""What a new execution is stored with, made of a retriever's version and a request's body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from api.context import ApiContext
from api.schemas.execution import RunBody
from api.services.executions.submit_plan import SubmitPlan, members, submit_plan, used_inputs
from shared import ids
from shared.errors import raise_invalid
from shared.inputs import inputs_hash
from shared.models.execution import Detail, ExecutionRequest, figures, pagination_of
from shared.models.resource import RetrieverRecord
from shared.parameters import filter_errors
from shared.stores.executions import Submission

_QUERY_SUMMARY_CHARS = 200


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
    plan = submit_plan(retriever)
    inputs = plan.validate(body.inputs)
    if body.filters:
        raise_invalid(filter_errors(body.filters, ("filters",)))
    page = body.page()
    warnings = body.warnings()
    interpretation = _interpretation(plan, body, inputs)
    request = ExecutionRequest(
        inputs=inputs,
        collection_ids=await _collections(context, retriever, body),
        filters=body.filters or None,
        page=page,
        warnings=warnings,
        interpretation=interpretation,
        expand=body.expand or (),
        return_vectors=body.return_vectors,
        consistency=body.consistency.model_dump() if body.consistency else None,
        write_token=body.write_token,
        stream=body.stream,
    )
    detail = Detail(
        budget=plan.budget.report(0.0, 0.0),
        pagination=pagination_of(page, 0, 0, None),
        warnings=warnings,
        interpretation=interpretation,
    )
    digest, query = inputs_hash(inputs), _query_summary(inputs)
    head = b'{"execution_id":"%s",%s,"inputs_hash":"%s"' % (execution_id.encode(), plan.head, digest.encode())
    about: dict[str, Any] = {"inputs_hash": digest, "query_summary": query}
    adhoc = ids.is_adhoc(retriever.retriever_id)
    if adhoc:
        told = {"collection_ids": request.collection_ids, "query_summary": query}
        head += b"," + members(told | {"inputs": orjson.dumps(inputs).decode()})
        about |= told | {"total_stages": len(retriever.definition["stages"])}
    if extra:
        head += b"," + members(extra)
    return Submission(
        execution_id=execution_id,
        namespace_id=retriever.namespace_id,
        retriever_id=retriever.retriever_id,
        version=retriever.version,
        request=request.to_json(),
        head=head,
        detail=detail.to_json(),
        first_stage=plan.first_stage,
        shadow=plan.shadow,
        figures=figures(),
        about=members(about),
        collection_ids=request.collection_ids,
        definition=retriever.definition_json if adhoc else b"",
        stream=body.stream,
    )


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


def _interpretation(plan: SubmitPlan, body: RunBody, inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = body.inputs
    used = plan.schema_keys | plan.used_keys
    if body.filters:
        used |= used_inputs(body.filters)
    return {
        "provided_input_keys": sorted(given),
        "inferred_inputs": {name: value for name, value in inputs.items() if name not in given},
        "ignored_input_keys": sorted(name for name in given if name not in used),
        "relaxations": [],
    }


def _query_summary(inputs: Mapping[str, Any]) -> str | None:
    query = inputs.get("query")
    return query[:_QUERY_SUMMARY_CHARS] if isinstance(query, str) else None
