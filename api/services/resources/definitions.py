"""The definition that workers run, made of validated stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.schemas.retrievers import BudgetLimits
from shared.plan import StageDefinition


def definition_of(
    stages: Sequence[StageDefinition],
    *,
    namespace_id: str,
    retriever_id: str,
    retriever_name: str,
    version: int,
    collection_ids: Sequence[str],
    input_schema: Mapping[str, Any],
    budget_limits: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The snapshot; it never changes once it is stored."""
    return {
        "retriever_id": retriever_id,
        "retriever_name": retriever_name,
        "namespace_id": namespace_id,
        "version": version,
        "collection_ids": collection_ids,
        "stages": [
            {
                "stage_name": stage.stage_name,
                "stage_id": stage.stage_id,
                "stage_type": stage.stage_type,
                "parameters": stage.parameters,
                "pre_filters": stage.pre_filters,
                "on_error": stage.on_error,
                "description": stage.description,
                "output_alias": stage.output_alias,
            }
            for stage in stages
        ],
        "input_schema": input_schema,
        "budget_limits": budget_limits,
    }


def budget_of(limits: BudgetLimits | None) -> dict[str, Any] | None:
    """As a definition keeps them; None: there are none."""
    if limits is None:
        return None
    kept: dict[str, Any] = {"max_credits": limits.max_credits, "max_time_ms": limits.max_time_ms}
    return kept if limits.on_deadline == "fail" else kept | {"on_deadline": limits.on_deadline}
