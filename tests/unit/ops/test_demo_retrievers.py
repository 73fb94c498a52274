"""The demo's retrievers fit the stages that the workers have, and explain themselves."""

from __future__ import annotations

from typing import Any

import pytest

from ops.demo_retrievers import retrievers
from shared.inputs import compile_inputs, validate_input_schema
from shared.plan import Catalogue, CatalogueEntry, validate_stages
from workers.stages.registry import catalogue

RETRIEVERS = retrievers()
each_retriever = pytest.mark.parametrize("retriever", RETRIEVERS, ids=lambda body: body["retriever_name"])


@each_retriever
def test_its_stages_fit_the_catalogue(retriever: dict[str, Any]) -> None:
    stages = Catalogue([CatalogueEntry.model_validate(entry) for entry in catalogue().values()])
    assert len(validate_stages(retriever["stages"], stages)) == len(retriever["stages"])


@each_retriever
def test_each_input_is_described_and_its_example_is_accepted(retriever: dict[str, Any]) -> None:
    schema = retriever["input_schema"]
    validate_input_schema(schema)
    assert all(field["description"] and field["examples"] for field in schema.values())
    compile_inputs(schema)({name: field["examples"][0] for name, field in schema.items()})


def test_one_retriever_has_three_stages_to_watch() -> None:
    assert max(len(retriever["stages"]) for retriever in RETRIEVERS) >= 3
