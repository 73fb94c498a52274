"""Estimates: medians of what ran, guesses of what did not, and suggestions that are worth a change."""

from __future__ import annotations

from typing import Any

import pytest

from api.services.executions import estimates
from api.services.executions.estimates import Estimator, StageEstimate
from api.services.executions.suggestions import suggestions_for
from shared.models.execution import StageProfile, profile_from, profile_json
from shared.plan import Catalogue, CatalogueEntry
from workers.stages import base

SEARCH_SCHEMA = {"properties": {"final_top_k": {"default": 25}, "searches": {}}}
CATALOGUE = Catalogue(
    [
        CatalogueEntry(
            stage_id="feature_search", category="filter", description="", parameter_schema=SEARCH_SCHEMA
        ),
        CatalogueEntry(stage_id="limit", category="reduce", description="", parameter_schema={}),
    ]
)


def stage(name: str, stage_id: str = "other", stage_type: str = "apply", **parameters: Any) -> dict[str, Any]:
    return {"stage_name": name, "stage_id": stage_id, "stage_type": stage_type, "parameters": parameters}


def searching(name: str = "search", **parameters: Any) -> dict[str, Any]:
    return stage(name, "feature_search", "filter", **{"searches": [{"query": {"value": "x"}}], **parameters})


def keeping(field: str) -> dict[str, Any]:
    condition = {"field": field, "operator": "eq", "value": 1}
    return stage("keep", "attribute_filter", "filter", conditions={"AND": [condition]})


def estimate(
    *stages: dict[str, Any],
    inputs: dict[str, Any] | None = None,
    documents: int = 5_000,
    profiles: list[StageProfile] | None = None,
) -> list[StageEstimate]:
    return Estimator(CATALOGUE, inputs or {}, documents, profiles or []).estimate(stages)


def flow(found: list[StageEstimate]) -> list[tuple[int, int]]:
    return [(each.documents_in, each.documents_out) for each in found]


def test_the_tariff_is_that_of_the_workers() -> None:
    assert base.CREDITS_PER_STAGE == estimates.CREDITS_PER_STAGE
    assert base.CREDITS_PER_INPUT_DOCUMENT == estimates.CREDITS_PER_INPUT_DOCUMENT


def test_a_profile_survives_its_way_through_redis() -> None:
    assert profile_from(profile_json({"a": (3, 2, 1.5)})) == {"a": (3, 2, 1.5)}


@pytest.mark.parametrize(
    ("parameters", "inputs", "expected"),
    [
        ({}, {}, 25),
        ({"final_top_k": 40}, {}, 40),
        ({"final_top_k": 400}, {}, 100),
        ({"final_top_k": 400, "searches": [{"top_k": 3}, {"top_k": 4}]}, {}, 7),
        ({"final_top_k": "{{INPUT.k}}"}, {"k": 9}, 9),
        ({"final_top_k": "{{INPUT.k}}"}, {}, 25),
        ({"final_top_k": "{{INPUT.k}}"}, {"k": -9}, 100),
        ({"final_top_k": "{{DOC.k}}"}, {}, 100),
    ],
)
def test_a_search_is_cut_by_its_parameters(
    parameters: dict[str, Any], inputs: dict[str, Any], expected: int
) -> None:
    assert flow(estimate(searching(**parameters), inputs=inputs)) == [(0, expected)]


def test_what_no_search_cuts_ends_at_the_most_that_a_pipeline_takes() -> None:
    assert flow(estimate(stage("sort"), stage("more"))) == [(0, 1_000), (1_000, 1_000)]
    assert flow(estimate(stage("sort"), documents=3)) == [(0, 3)]


def test_medians_of_what_ran() -> None:
    profiles: list[StageProfile] = [{"a": (0, n, float(n)), "b": (n, 1, 0.5)} for n in (9, 1, 4)]
    found = estimate(stage("a"), stage("b"), stage("new"), profiles=profiles)
    assert flow(found) == [(0, 4), (4, 1), (1, 1)]
    assert [each.duration_ms for each in found[:2]] == [4.0, 0.5]
    assert [bool(each.warnings) for each in found] == [False, False, True]
    assert found[1].credits == 0.0104


def test_a_smaller_cut_than_what_ran_goes_through_all_that_follows() -> None:
    profiles: list[StageProfile] = [{"search": (0, 20, 1.0), "b": (20, 8, 1.0)}]
    found = estimate(searching(final_top_k="{{INPUT.k}}"), stage("b"), inputs={"k": 5}, profiles=profiles)
    assert flow(found) == [(0, 5), (5, 2)]
    assert found[0].notes == ["median of 1 completed execution", "cut at 5"]


def test_a_template_that_fails_is_a_warning() -> None:
    (found,) = estimate(searching(final_top_k="{{INPUT.k + 1}}"))
    assert "cannot be filled with these inputs" in found.warnings[0]


def types(*stages: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["type"], each["stage"]) for each in suggestions_for(estimate(*stages))]


def test_a_filter_behind_a_search_could_stand_before_it() -> None:
    behind = [("filter_before_search", "keep")]
    assert types(searching(), keeping("genre")) == behind
    assert types(searching(), stage("sort", "sort_attribute", "sort"), keeping("genre")) == behind
    assert types(keeping("genre"), searching()) == []
    assert types(searching(), keeping("score")) == []
    assert types(searching(), stage("attach", "join", "enrich"), keeping("attached")) == []
    assert types(searching(searches=[]), keeping("genre")) == []


def test_a_final_top_k_that_cannot_be_reached() -> None:
    assert types(searching(final_top_k=101)) == [("final_top_k_unreachable", "search")]
    assert types(searching(final_top_k=100)) == []


def test_work_on_documents_that_are_dropped_at_once() -> None:
    def cut(limit: int) -> dict[str, Any]:
        return stage("first", "limit", "reduce", limit=limit)

    assert types(searching(), stage("judge", "rerank", "apply"), cut(5)) == [("cut_earlier", "judge")]
    assert types(searching(), stage("judge", "rerank", "apply"), cut(25)) == []
    assert types(searching(), stage("order", "sort_attribute", "sort"), cut(5)) == []
