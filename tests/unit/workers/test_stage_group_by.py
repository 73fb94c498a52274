"""group_by: which documents are a group, which of them go on, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import DocumentStore
from shared.filters import field_value
from shared.models.document import Document
from tests.unit.workers.alone import Alone, document, documents_of, refused_when_rendered, refused_when_saved
from tests.unit.workers.pipelines import execute, stage
from workers.stages.group_by import GroupBy, GroupByParameters

BOOKS = [
    document("a", 1.0, kind="crime"),
    document("b", 3.0, kind="travel"),
    document("c", 2.0, kind="crime"),
    document("d", kind="travel"),
    document("e", 3.0),
    document("f", 3.0, kind="travel"),
]


def test_first_keeps_the_best_of_each_group_in_order_of_score() -> None:
    assert Alone(GroupBy).ids(BOOKS, group_by_field="kind", output_mode="first") == ["b", "e", "c"]


def test_flatten_puts_group_after_group_and_cuts_each() -> None:
    alone = Alone(GroupBy)
    assert alone.ids(BOOKS, group_by_field="kind", output_mode="flatten") == list("bfdeca")
    assert alone.ids(BOOKS, group_by_field="kind", output_mode="flatten", max_per_group=2) == list("bfeca")


def test_all_gives_one_row_per_group() -> None:
    output = Alone(GroupBy).run(BOOKS, group_by_field="kind", max_per_group=2)
    assert output.metadata == {"groups": 3}
    rows = [orjson.loads(orjson.dumps(each.result())) for each in output.documents]
    assert [(each["group_key"], each["count"], each["document_id"], each["score"]) for each in rows] == [
        ("travel", 3, "b", 3.0), (None, 1, "e", 3.0), ("crime", 2, "c", 2.0),
    ]  # fmt: skip
    assert rows[0]["payload"] == {}
    assert rows[2]["documents"] == [
        {"document_id": "c", "collection_id": "col_1", "score": 2.0,
         "payload": {"document_id": "c", "kind": "crime"}},
        {"document_id": "a", "collection_id": "col_1", "score": 1.0,
         "payload": {"document_id": "a", "kind": "crime"}},
    ]  # fmt: skip


def test_later_stages_look_into_a_row() -> None:
    first = Alone(GroupBy).run(BOOKS, group_by_field="kind").documents[0]
    assert field_value(first, "count") == 3
    assert field_value(first, "documents.0.payload.kind") == "travel"
    assert field_value(first, "documents.document_id") == ["b", "f", "d"]


def test_without_scores_the_order_of_the_list_decides() -> None:
    documents = documents_of(["x", "y", "x", "y", "z"])
    found = Alone(GroupBy).ids(documents, group_by_field="value", output_mode="flatten")
    assert [int(each.removeprefix("doc_")) for each in found] == [0, 2, 1, 3, 4]


def test_a_field_that_no_document_has_is_told() -> None:
    alone = Alone(GroupBy)
    assert len(alone.run(BOOKS).documents) == 1
    assert alone.warnings == [
        "group_by: no document has the field 'source_object_id', so all of them are one group"
    ]
    alone.run(BOOKS, group_by_field="kind")
    alone.run([])
    assert len(alone.warnings) == 1


scored = st.lists(
    st.tuples(st.none() | st.integers(0, 3), st.sampled_from(["a", "b", None, 1])), max_size=12
).map(
    lambda pairs: [
        document(f"doc_{at:02}", None if score is None else float(score), value=value)
        for at, (score, value) in enumerate(pairs)
    ]
)


@given(scored)
def test_flatten_with_room_for_all_keeps_all(documents: list[Document]) -> None:
    found = Alone(GroupBy).ids(documents, group_by_field="value", output_mode="flatten", max_per_group=1000)
    assert Counter(found) == Counter(each.document_id for each in documents)


@given(scored, st.integers(1, 4))
def test_the_three_modes_show_the_same_groups(documents: list[Document], most: int) -> None:
    def run(mode: str) -> list[Document]:
        parameters: dict[str, Any] = {"group_by_field": "value", "output_mode": mode, "max_per_group": most}
        return Alone(GroupBy).run(documents, **parameters).documents

    rows, flat = run("all"), run("flatten")
    inside = [[each["document_id"] for each in row.attached["documents"]] for row in rows]
    assert [each for members in inside for each in members] == [each.document_id for each in flat]
    assert [members[0] for members in inside] == [each.document_id for each in run("first")]
    assert [row.document_id for row in rows] == [members[0] for members in inside]
    assert sum(row.attached["count"] for row in rows) == len(documents)
    assert all(len(members) <= most for members in inside)


def test_a_pipeline_sorts_pages_and_filters_rows_like_documents(store: DocumentStore) -> None:
    stages = [
        stage("group", "group_by", group_by_field="year", max_per_group=1),
        stage("keep", "attribute_filter", field="group_key", operator="gte", value=2001),
        stage("sort", "sort_attribute", field="group_key", direction="desc"),
    ]
    seen = execute(store, stages, ["col_books"])
    assert [(each["group_key"], each["count"]) for each in seen["documents"]] == [
        (2003, 3),
        (2002, 3),
        (2001, 3),
    ]
    assert seen["stage_statistics"]["stages"]["group"]["metadata"] == {"groups": 4}


def test_no_field_tells_the_order_of_groups() -> None:
    assert GroupBy(GroupByParameters()).order(()) is None


@pytest.mark.parametrize(
    ("name", "value"), [("max_per_group", 0), ("max_per_group", 1001), ("output_mode", "x")]
)
def test_what_is_out_of_range_is_refused(name: str, value: Any) -> None:
    assert list(refused_when_saved(GroupBy, {name: value})) == [name]
    assert name in refused_when_rendered(GroupBy, {name: value})
