"""What holds of every stage, now and later: found by the registry, described, and well-behaved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import orjson
import pytest

from shared.documents import CollectionRef, DocumentStore
from shared.models.document import Document
from shared.plan import Catalogue, CatalogueEntry
from tests.unit.workers.pipelines import NAMESPACE, NoEmbeddings
from workers.context import StageContext
from workers.stages.base import Stage
from workers.stages.registry import catalogue, load_all

STAGES = sorted({stage.stage_id: stage for stage in load_all().values()}.items())
# Parameters that make a stage do something, where its defaults do not.
PARAMETERS: Mapping[str, list[dict[str, Any]]] = {
    "aggregate": [
        {"aggregations": [{"function": "count", "alias": "n"}], "group_by": [{"field": "year"}]},
        {"aggregations": [{"function": "avg", "field": "year", "alias": "mean"}]},
        {"aggregations": [{"function": "count", "alias": "n"}], "include_documents": True},
    ],
    "attribute_filter": [{"conditions": {"field": "year", "operator": "gt", "value": 2001}}, {}],
    "feature_search": [
        {"searches": [{"feature_uri": "text", "lexical": True, "query": {"value": "trains"}}]},
        {"final_top_k": 3},
    ],
    "group_by": [{"group_by_field": "year", "output_mode": mode} for mode in ("first", "all", "flatten")],
    "mmr": [{"diversity_fields": ["year"], "top_k": 5}, {"lambda": 1}, {}],
    "sample": [
        {"count": 5},
        {"count": 5, "strategy": "reservoir", "seed": 1},
        {"count": 5, "strategy": "stratified", "stratify_by": "year", "preserve_top_k": 1},
    ],
    "sort_attribute": [{"field": "year", "direction": direction} for direction in ("asc", "desc")],
    "sort_relevance": [
        {"score_field": "year", "missing_score": end} for end in ("bottom", "top", "preserve")
    ],
}
REF = CollectionRef(NAMESPACE, "col_books")
CASES = [
    pytest.param(stage, parameters, id=f"{stage_id}-{number}")
    for stage_id, stage in STAGES
    for number, parameters in enumerate(PARAMETERS.get(stage_id, [{}]))
]


@pytest.fixture
def context(store: DocumentStore) -> StageContext:
    return StageContext(
        execution_id="exec_1",
        attempt=1,
        stage_index=0,
        stage_name="stage",
        namespace_id=NAMESPACE,
        inputs={},
        collections=[REF],
        documents=store,
        embeddings=NoEmbeddings(),
        resolve_collections=lambda identifiers: identifiers,
        warn=lambda text: None,
        check=lambda: None,
    )


@pytest.fixture
def documents(store: DocumentStore) -> list[Document]:
    """In no particular order, and each with something attached."""
    found = store.select(REF, limit=100)
    return [document.with_attached(shelf=number) for number, document in enumerate(found[5:] + found[:5])]


def made(stage: type[Stage[Any]], parameters: dict[str, Any]) -> Stage[Any]:
    return stage(stage.Parameters.model_validate(stage.normalise(parameters)))


def as_json(documents: list[Document]) -> list[bytes]:
    return [orjson.dumps(document.result()) for document in documents]


def properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property of a JSON Schema, those of its definitions included."""
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {}).items()


@pytest.mark.parametrize(("stage_id", "stage"), STAGES)
def test_a_stage_is_described(stage_id: str, stage: type[Stage[Any]]) -> None:
    assert stage.__doc__ and stage.__doc__ != Stage.__doc__
    assert stage.Parameters.__doc__
    assert stage.icon
    assert stage.category in ("filter", "sort", "reduce", "apply", "enrich")
    assert stage.cost_tier in ("cheap", "moderate", "expensive")
    undescribed = [
        name
        for name, schema in properties(stage.Parameters.model_json_schema())
        if "description" not in schema and "const" not in schema
    ]
    assert undescribed == []


@pytest.mark.parametrize(("stage_id", "stage"), STAGES)
def test_a_stage_of_ours_is_in_the_file_of_its_name(stage_id: str, stage: type[Stage[Any]]) -> None:
    if stage.__module__.startswith("workers."):
        assert stage.__module__ == f"workers.stages.{stage_id}"
        assert find_spec(stage.__module__) is not None


def test_the_catalogue_is_what_the_api_can_read() -> None:
    entries = orjson.loads(orjson.dumps(catalogue()))
    read = Catalogue([CatalogueEntry.model_validate(entry) for entry in entries.values()])
    assert sorted(read) == [stage_id for stage_id, _ in STAGES]
    for stage_id, stage in STAGES:
        for alias in stage.aliases:
            assert read[alias].stage_id == stage_id
            assert load_all()[alias] is stage


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_default_parameters_are_accepted_by_the_schema(
    stage: type[Stage[Any]], parameters: dict[str, Any]
) -> None:
    entry = CatalogueEntry.model_validate(catalogue()[stage.stage_id])
    _, errors = entry.parameters.check(parameters, ())
    assert errors == []


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_empty_in_empty_out(
    stage: type[Stage[Any]], parameters: dict[str, Any], context: StageContext
) -> None:
    assert made(stage, parameters).run([], context).documents == []


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_the_input_is_not_changed(
    stage: type[Stage[Any]], parameters: dict[str, Any], context: StageContext, documents: list[Document]
) -> None:
    before, given = as_json(documents), list(documents)
    made(stage, parameters).run(documents, context)
    assert documents == given
    assert as_json(documents) == before


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_the_same_input_gives_the_same_output_without_repeats(
    stage: type[Stage[Any]], parameters: dict[str, Any], context: StageContext, documents: list[Document]
) -> None:
    first = made(stage, parameters).run(documents, context).documents
    assert first
    assert as_json(first) == as_json(made(stage, parameters).run(documents, context).documents)
    ids = [(document.collection_id, document.document_id) for document in first]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_what_was_attached_stays_attached(
    stage: type[Stage[Any]], parameters: dict[str, Any], context: StageContext, documents: list[Document]
) -> None:
    if stage.category in ("filter", "sort"):
        shelves = {document.document_id: document.attached["shelf"] for document in documents}
        for document in made(stage, parameters).run(documents, context).documents:
            assert document.attached["shelf"] == shelves[document.document_id]


@pytest.mark.parametrize(("stage", "parameters"), CASES)
def test_unknown_parameters_are_refused(stage: type[Stage[Any]], parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no_such_parameter"):
        made(stage, {**parameters, "no_such_parameter": 1})
