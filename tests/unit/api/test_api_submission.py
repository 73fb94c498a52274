"""What is derived from a retriever's version: kept for stored ones, which are few and come again."""

from __future__ import annotations

import gc
import weakref

import orjson
import pytest

from api.services.resources.definitions import definition_of
from shared.models.resource import RetrieverRecord
from shared.plan import StageDefinition
from shared.submission import submit_plan


def record(retriever_id: str) -> RetrieverRecord:
    stage = StageDefinition("sort", "sort_attribute", "sort", parameters={"field": "year"})
    definition = definition_of(
        [stage],
        namespace_id="ns_1",
        retriever_id=retriever_id,
        retriever_name="kept",
        version=1,
        collection_ids=[],
        input_schema={},
        budget_limits=None,
    )
    return RetrieverRecord(retriever_id, 1, b"", orjson.dumps(definition))


@pytest.mark.parametrize(("retriever_id", "kept"), [("ret_1", True), ("adhoc_ns_1", False)])
def test_the_plan_is_kept_for_stored_retrievers_only(retriever_id: str, kept: bool) -> None:
    """An ad-hoc definition may have a megabyte, and the next one another: keeping them fills the memory."""
    retriever = record(retriever_id)
    assert (submit_plan(retriever) is submit_plan(retriever)) == kept
    there = weakref.ref(retriever)
    del retriever
    gc.collect()
    assert (there() is not None) == kept
