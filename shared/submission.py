"""What a new execution is stored with, made of a retriever's version and what it is asked for.

The API makes it of a request, workers of an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from shared import ids
from shared.inputs import InputValidator, compile_inputs, inputs_hash
from shared.models.execution import Budget, Detail, ExecutionRequest, figures, pagination_of
from shared.models.resource import RetrieverRecord
from shared.stores.executions import Submission
from shared.templates import references

_QUERY_SUMMARY_CHARS = 200


@dataclass(frozen=True, slots=True)
class SubmitPlan:
    """What one version of a retriever brings to each of its executions."""

    validate: InputValidator
    schema_keys: frozenset[str]
    used_keys: frozenset[str]
    budget: Budget
    first_stage: bytes
    head: bytes  # members of the answer that never change
    shadow: bytes

    def interpretation(
        self, given: Mapping[str, Any], inputs: Mapping[str, Any], filters: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What was made of the inputs that were given; `inputs` are those with defaults."""
        used = self.schema_keys | self.used_keys | (_used_inputs(filters) if filters else set())
        return {
            "provided_input_keys": sorted(given),
            "inferred_inputs": {name: value for name, value in inputs.items() if name not in given},
            "ignored_input_keys": sorted(name for name in given if name not in used),
            "relaxations": [],
        }


def submit_plan(retriever: RetrieverRecord) -> SubmitPlan:
    """Remembered for stored versions only: of ad-hoc ones hardly any comes twice, and each may be large."""
    return _plan(retriever) if ids.is_adhoc(retriever.retriever_id) else _remembered_plan(retriever)


@lru_cache(maxsize=2048)
def _remembered_plan(retriever: RetrieverRecord) -> SubmitPlan:
    return _plan(retriever)


def _plan(retriever: RetrieverRecord) -> SubmitPlan:
    definition = retriever.definition
    schema: Mapping[str, Any] = definition["input_schema"] or {}
    stages = definition["stages"]
    limits = definition["budget_limits"] or {}
    return SubmitPlan(
        compile_inputs(schema),
        frozenset(schema),
        frozenset(_used_inputs(stages)),
        Budget(limits.get("max_credits"), limits.get("max_time_ms")),
        orjson.dumps(stages[0]["stage_name"]),
        members(_identity(retriever) | {"total_stages": len(stages)}),
        orjson.dumps(f"{retriever.name}@{retriever.namespace_id}")[1:-1],
    )


def _identity(retriever: RetrieverRecord) -> dict[str, Any]:
    """Whose execution the answer says it is; what is run ad hoc is no retriever."""
    if ids.is_adhoc(retriever.retriever_id):
        return {
            "retriever_id": "",
            "retriever_name": "",
            "execution_mode": "adhoc",
            "execution_metadata": {"retriever_persisted": False},
            "cache_status": "disabled",
        }
    return {
        "retriever_id": retriever.retriever_id,
        "retriever_name": retriever.name,
        "execution_mode": "retriever",
    }


def submission_of(
    retriever: RetrieverRecord,
    request: ExecutionRequest,
    execution_id: str,
    extra: Mapping[str, Any] | None = None,
) -> Submission:
    """
    Args:
        request: with inputs that are checked and complete.
        extra: More members of the answer, which never change.
    """
    plan = submit_plan(retriever)
    detail = Detail(
        budget=plan.budget.report(0.0, 0.0),
        pagination=pagination_of(request.page, 0, 0, None),
        warnings=request.warnings,
        interpretation=request.interpretation,
    )
    digest, query = inputs_hash(request.inputs), _query_summary(request.inputs)
    head = b'{"execution_id":"%s",%s,"inputs_hash":"%s"' % (execution_id.encode(), plan.head, digest.encode())
    about: dict[str, Any] = {"inputs_hash": digest, "query_summary": query}
    adhoc = ids.is_adhoc(retriever.retriever_id)
    if adhoc:
        told = {"collection_ids": request.collection_ids, "query_summary": query}
        head += b"," + members(told | {"inputs": orjson.dumps(request.inputs).decode()})
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
        stream=request.stream,
    )


def members(values: Mapping[str, Any]) -> bytes:
    """The inside of a JSON object."""
    return orjson.dumps(values)[1:-1]


def _used_inputs(templates: Any) -> set[str]:
    return {path.split(".", 1)[0] for namespace, path in references(templates) if namespace == "INPUT"}


def _query_summary(inputs: Mapping[str, Any]) -> str | None:
    query = inputs.get("query")
    return query[:_QUERY_SUMMARY_CHARS] if isinstance(query, str) else None
