"""Explain: what an execution would do and cost. Nothing runs, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from api.context import ApiContext
from api.deps import Access
from api.services.executions.estimates import Estimator, StageEstimate
from api.services.executions.suggestions import suggestions_for
from shared.documents import CollectionRef
from shared.errors import NotFound
from shared.models.resource import RetrieverRecord

_PROFILES = 20  # newest executions whose medians are taken
_BOTTLENECK = 0.8  # of the slowest stage's time (contract 2.13)


async def explain_plan(
    context: ApiContext, access: Access, id_or_name: str, inputs: Mapping[str, Any]
) -> dict[str, Any]:
    """The plan, with estimates from the newest executions of this version (one round trip) or guesses.

    Raises:
        NotFound: the retriever. Unavailable: no worker has published a catalogue, or documents are away.
    """
    retriever = await context.retrievers.resolve(access.namespace_id, id_or_name)
    catalogue, profiles, documents = await asyncio.gather(
        context.catalogue.current(),
        context.executions.profiles(retriever.retriever_id, retriever.version, count=_PROFILES),
        _count_documents(context, retriever),
    )
    estimator = Estimator(catalogue, inputs, documents, profiles)
    # In a thread: templates may take their time.
    stages = await anyio.to_thread.run_sync(estimator.estimate, retriever.definition["stages"])
    slowest_ms = max(stage.duration_ms for stage in stages)
    return {
        "retriever_id": retriever.retriever_id,
        "retriever_name": retriever.name,
        "estimated_cost": {
            "total_credits": round(sum(stage.credits for stage in stages), 6),
            "total_duration_ms": round(sum(stage.duration_ms for stage in stages), 3),
        },
        "total_estimated_stages": len(stages),
        "execution_plan": [_entry(stage) for stage in stages],
        "optimization_suggestions": suggestions_for(stages),
        "bottleneck_stages": [
            stage.name for stage in stages if stage.duration_ms >= _BOTTLENECK * slowest_ms
        ],
        "optimization_level": "mvp",
        "optimization_applied": False,
        "optimization_details": None,
        "estimated_from": {"executions": len(profiles), "documents": documents},
    }


def _entry(stage: StageEstimate) -> dict[str, Any]:
    efficiency = stage.documents_out / stage.documents_in if stage.documents_in else 0.0
    return {
        "stage_index": stage.index,
        "stage_name": stage.name,
        "stage_type": stage.category,
        "estimated_input": stage.documents_in,
        "estimated_output": stage.documents_out,
        "estimated_efficiency": round(efficiency, 6),
        "estimated_cost_credits": stage.credits,
        "estimated_duration_ms": stage.duration_ms,
        "cache_likely": False,
        "optimization_notes": stage.notes,
        "warnings": stage.warnings,
    }


async def _count_documents(context: ApiContext, retriever: RetrieverRecord) -> int:
    """Documents in the retriever's collections; one that was deleted meanwhile holds none."""
    ids = retriever.collection_ids or await context.collections.all_ids(retriever.namespace_id)
    counts = await asyncio.gather(*(_count(context, retriever.namespace_id, each) for each in ids))
    return sum(counts)


async def _count(context: ApiContext, namespace_id: str, collection_id: str) -> int:
    ref = CollectionRef(namespace_id, collection_id)
    try:
        return await context.pool.run(lambda documents: documents.count(ref))
    except NotFound:
        return 0
