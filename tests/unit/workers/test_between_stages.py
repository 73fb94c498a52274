"""What a stage can read of the stages before it, through templates."""

from __future__ import annotations

from typing import Any

import pytest

from shared.documents import DocumentStore
from shared.models.execution import Page
from tests.unit.workers.pipelines import execute, fill, stage

TITLES = {"a": "alpha", "b": "beta", "c": "gamma"}


@pytest.fixture
def letters(store: DocumentStore) -> DocumentStore:
    fill(
        store,
        "col_letters",
        {each: {"title": title, "rank": n} for n, (each, title) in enumerate(TITLES.items())},
    )
    return store


def keep(name: str, field: str, operator: str, value: Any, **over: Any) -> dict[str, Any]:
    return {**stage(name, "attribute_filter", field=field, operator=operator, value=value), **over}


def run(store: DocumentStore, *stages: dict[str, Any], **request: Any) -> dict[str, Any]:
    return execute(store, stages, ["col_letters"], **request)


def ids(execution: dict[str, Any]) -> list[str]:
    assert execution["error"] is None
    return [each["document_id"] for each in execution["documents"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "{{CONTEXT.last[0].title}}"),
        ("title", "{{context.last[-1].payload.title}}"),
        ("document_id", "{{CONTEXT.last | map(attribute='document_id') | first}}"),
        ("title", "{{STAGE.sorted.documents[0].title}}"),
        ("rank", "{{stage['sorted'].output_count - 1}}"),
    ],
)
def test_documents_and_statistics_of_an_earlier_stage(letters: DocumentStore, field: str, value: str) -> None:
    found = run(
        letters,
        {**stage("sorted", "sort_attribute", field="rank", direction="desc"), "output_alias": "last"},
        keep("same", field, "eq", value),
    )
    assert ids(found) == ["c"] if "[-1]" not in value else ["a"]


def test_a_list_of_ids_keeps_its_type(letters: DocumentStore) -> None:
    found = run(
        letters,
        keep("some", "rank", "gte", 1, output_alias="some"),
        keep("two", "document_id", "in", "{{CONTEXT.some | map(attribute='document_id') | list}}"),
    )
    assert ids(found) == ["b", "c"]


def test_an_alias_stays_as_it_was_while_later_stages_go_on(letters: DocumentStore) -> None:
    """The engine does the work of several stages at once, unless somebody asks for what was in between."""
    found = run(
        letters,
        keep("all", "rank", "gte", 0, output_alias="all"),
        keep("few", "rank", "lt", 1),
        keep("none", "rank", "gte", "{{CONTEXT.all | length}}"),
    )
    assert ids(found) == []
    counts = {name: each["output_count"] for name, each in found["stage_statistics"]["stages"].items()}
    assert counts == {"all": 3, "few": 1, "none": 0}


def test_rows_of_an_aggregation_can_be_read(letters: DocumentStore) -> None:
    mean = {"function": "avg", "field": "rank", "alias": "mean"}
    figures = stage("figures", "aggregate", aggregations=[mean], include_documents=True)
    found = run(
        letters, figures, keep("above", "rank", "gt", "{{STAGE.figures.metadata.aggregations[0].mean}}")
    )
    assert ids(found) == ["c"]


def test_a_condition_on_a_stage_that_is_not_there_is_dropped(letters: DocumentStore) -> None:
    found = run(letters, keep("odd", "title", "eq", "{{CONTEXT.nobody[0].title}}"))
    assert ids(found) == ["a", "b", "c"]
    assert found["interpretation"]["relaxations"] == ["condition on 'title' dropped: its input was not given"]


def test_what_a_search_found_is_not_what_a_filter_behind_it_kept(letters: DocumentStore) -> None:
    search = stage(
        "search",
        "feature_search",
        searches=[{"feature_uri": "text", "lexical": True, "query": {"value": "alpha beta gamma"}}],
    )
    found = run(
        letters,
        search,
        keep("first", "rank", "lte", 1),
        keep("fewer", "rank", "lt", "{{STAGE.search.documents | length - 2}}"),
    )
    assert ids(found) == ["a"]


def test_a_stage_that_is_skipped_leaves_the_order_as_it_was(letters: DocumentStore) -> None:
    failing = stage("search", "feature_search", searches=[{"feature_uri": "none", "query": {"value": "x"}}])
    found = run(
        letters,
        {**stage("sorted", "sort_attribute", field="rank", direction="desc"), "output_alias": "sorted"},
        {**failing, "on_error": "skip"},
        page=Page("keyset", 1),
    )
    assert ids(found) == ["c"]
    assert found["pagination"]["next_cursor"] == {"rank": 2, "id": "c"}
