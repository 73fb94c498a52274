"""What a version of a retriever brings to each of its executions, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from shared import ids
from shared.inputs import InputValidator, compile_inputs
from shared.models.execution import Budget
from shared.models.resource import RetrieverRecord
from shared.templates import references


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
        frozenset(used_inputs(stages)),
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


def members(values: Mapping[str, Any]) -> bytes:
    """The inside of a JSON object."""
    return orjson.dumps(values)[1:-1]


def used_inputs(templates: Any) -> set[str]:
    """The inputs that templates anywhere in it name."""
    return {path.split(".", 1)[0] for namespace, path in references(templates) if namespace == "INPUT"}
