"""aggregate: every function, groups, the order of rows, and where the rows go."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import DocumentStore
from shared.errors import StageError
from shared.filters import SortKey
from shared.models.document import Document
from tests.unit.workers.alone import Alone, document, documents_of, refused_when_rendered, refused_when_saved
from tests.unit.workers.pipelines import execute, stage
from workers.documents.columns import FUNCTIONS
from workers.stages.aggregate import Aggregate, AggregateParameters, Function

BOOKS = [
    document("a", 1.0, kind="crime", price=10, pages=100, tags=["old", "thin"]),
    document("b", 4.0, kind="travel", price=20, pages=200, tags=["new"]),
    document("c", 3.0, kind="crime", price=30, pages=300, tags=["old", "new"]),
    document("d", 2.0, kind="crime", price=None, pages="many", tags=[]),
    document("e", price=40.5),
]
COUNT = {"function": "count", "alias": "n"}


def figure(documents: list[Document], function: str, field: str | None = None, **rest: Any) -> Any:
    aggregation = {"function": function, "field": field, "alias": "x", **rest}
    [row] = Alone(Aggregate).run(documents, aggregations=[aggregation]).metadata["aggregations"]
    return row["x"]


@pytest.mark.parametrize(
    ("function", "field", "rest", "expected"),
    [
        ("count", None, {}, 5),
        ("count", "price", {}, 4),
        ("count", "tags", {}, 4),
        ("count_distinct", "kind", {}, 2),
        ("count_distinct", "tags", {}, 3),
        ("sum", "price", {}, 100.5),
        ("sum", "pages", {}, 600),
        ("avg", "pages", {}, 200),
        ("avg", "score", {}, 2.5),
        ("min", "price", {}, 10),
        ("max", "pages", {}, "many"),
        ("max", "kind", {}, "travel"),
        ("first", "kind", {}, "travel"),
        ("first", "tags", {}, ["new"]),
        ("last", "kind", {}, "crime"),
        ("last", "price", {}, 40.5),
        ("collect", "price", {}, [20, 30, 10, 40.5]),
        ("collect", "tags", {}, ["new", "old", "new", "old", "thin"]),
        ("collect_distinct", "tags", {}, ["new", "old", "thin"]),
        ("percentile", "pages", {}, 200),
        ("percentile", "price", {"percentile_value": 0}, 10),
        ("percentile", "price", {"percentile_value": 75}, 32.625),
        ("variance", "pages", {}, 20000 / 3),
        ("stddev", "pages", {}, (20000 / 3) ** 0.5),
        ("frequency", "tags", {"top_k": 2}, [{"value": "new", "count": 2}, {"value": "old", "count": 2}]),
        ("correlation", "price", {"field_b": "pages"}, 1),
        ("correlation", "price", {"field_b": "price"}, 1),
        ("correlation", "kind", {"field_b": "price"}, None),
        ("avg", "kind", {}, None),
        ("first", "nothing", {}, None),
        ("sum", "nothing", {}, 0),
        ("collect", "nothing", {}, []),
    ],
)  # fmt: skip
def test_each_function(function: str, field: str | None, rest: dict[str, Any], expected: Any) -> None:
    found = figure(BOOKS, function, field, **rest)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_values_that_stand_in_one_document() -> None:
    assert figure(BOOKS, "co_occurrence", "kind", field_b="tags", top_k=2) == [
        {"value": "crime", "value_b": "old", "count": 2}, {"value": "travel", "value_b": "new", "count": 1},
    ]  # fmt: skip
    assert figure(BOOKS, "co_occurrence", "tags", field_b="tags") == [
        {"value": "new", "value_b": "old", "count": 1}, {"value": "old", "value_b": "thin", "count": 1},
    ]  # fmt: skip


def test_every_function_of_the_parameters_is_there() -> None:
    assert set(FUNCTIONS) == set(get_args(Function))


def test_without_groups_there_is_one_row_even_of_nothing() -> None:
    aggregations = [COUNT, {"function": "avg", "field": "price", "alias": "mean"}]
    output = Alone(Aggregate).run(BOOKS, aggregations=aggregations)
    assert output.metadata == {"aggregations": [{"n": 5, "mean": 25.125}]}
    [row] = output.documents
    assert orjson.loads(orjson.dumps(row.result())) == {
        "document_id": "b", "collection_id": "col_1", "score": 4.0, "payload": {}, "n": 5, "mean": 25.125,
    }  # fmt: skip
    empty = Alone(Aggregate).run([], aggregations=aggregations)
    assert (empty.documents, empty.metadata) == ([], {"aggregations": [{"n": 0, "mean": None}]})
    grouped = Alone(Aggregate).run([], aggregations=aggregations, group_by=[{"field": "kind"}])
    assert (grouped.documents, grouped.metadata) == ([], {"aggregations": []})


def test_groups_stand_in_the_order_of_their_best_documents() -> None:
    output = Alone(Aggregate).run(BOOKS, aggregations=[COUNT], group_by=[{"field": "kind"}])
    assert output.metadata["aggregations"] == [
        {"kind": "travel", "n": 1}, {"kind": "crime", "n": 3}, {"kind": None, "n": 1},
    ]  # fmt: skip
    assert [row.document_id for row in output.documents] == ["b", "c", "e"]


def test_a_group_is_named_by_its_alias_or_the_last_part_of_its_path() -> None:
    documents = [document("a", about={"kind": "x"}, year=1), document("b", about={"kind": "x"}, year=2)]
    group_by = [{"field": "about.kind"}, {"field": "year", "alias": "when"}]
    output = Alone(Aggregate).run(documents, aggregations=[COUNT], group_by=group_by)
    assert output.metadata["aggregations"] == [
        {"kind": "x", "when": 1, "n": 1},
        {"kind": "x", "when": 2, "n": 1},
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sort_by": "n"}, ["b", "c", "a", None]),
        ({"sort_by": "n", "sort_order": "asc"}, ["a", None, "c", "b"]),
        ({"sort_by": "value"}, ["c", "b", "a", None]),
        ({"sort_by": "value", "limit": 2}, ["c", "b"]),
        ({"limit": 2}, ["a", "b"]),
    ],
)
def test_rows_are_sorted_and_cut(parameters: dict[str, Any], expected: list[str | None]) -> None:
    """Ties go by the id of the group's best document, null comes last in both directions."""
    documents = documents_of(["a", "b", "b", "b", "c", None, "c"])
    output = Alone(Aggregate).run(
        documents, aggregations=[COUNT], group_by=[{"field": "value"}], **parameters
    )
    assert [each["value"] for each in output.metadata["aggregations"]] == expected
    assert [row.attached["value"] for row in output.documents] == expected


def test_the_documents_may_go_on_instead_of_the_rows() -> None:
    output = Alone(Aggregate).run(
        BOOKS, aggregations=[COUNT], group_by=[{"field": "kind"}], limit=1, include_documents=True
    )
    assert output.documents == BOOKS
    assert output.metadata == {"aggregations": [{"kind": "travel", "n": 1}]}


def test_what_is_no_number_is_left_out_and_counted() -> None:
    aggregations = [
        {"function": "sum", "field": "pages", "alias": "pages"},
        {"function": "avg", "field": "tags", "alias": "tags"},
        {"function": "correlation", "field": "score", "field_b": "pages", "alias": "r"},
        {"function": "max", "field": "pages", "alias": "most"},
        {"function": "sum", "field": "price", "alias": "price"},
    ]
    output = Alone(Aggregate).run(BOOKS, aggregations=aggregations, group_by=[{"field": "kind"}])
    assert output.metadata["skipped_values"] == {"pages": 1, "tags": 5, "r": 1}


rows = st.lists(st.tuples(st.sampled_from(["a", "b", 1, None]), st.none() | st.integers(-5, 5)), max_size=15)


@given(rows)
def test_groups_agree_with_a_plain_loop(found: list[tuple[Any, int | None]]) -> None:
    documents = [document(f"doc_{at:02}", kind=kind, price=price) for at, (kind, price) in enumerate(found)]
    aggregations = [
        COUNT,
        *(
            {"function": name, "field": "price", "alias": name}
            for name in ("count_distinct", "sum", "min", "max")
        ),
        {"function": "collect", "field": "price", "alias": "prices"},
    ]
    output = Alone(Aggregate).run(documents, aggregations=aggregations, group_by=[{"field": "kind"}])
    prices: dict[Any, list[int | None]] = defaultdict(list)
    for kind, price in found:
        prices[kind].append(price)
    expected = []
    for kind, group in prices.items():
        known = [price for price in group if price is not None]
        expected.append({
            "kind": kind, "n": len(group), "count_distinct": len(set(known)), "sum": sum(known),
            "min": min(known, default=None), "max": max(known, default=None), "prices": known,
        })  # fmt: skip
    assert output.metadata["aggregations"] == expected


@pytest.mark.parametrize("function", ["sum", "avg", "variance", "correlation", "percentile"])
def test_a_figure_that_no_number_can_hold_is_an_error_that_names_it(function: str) -> None:
    documents = [document("a", x=-1.7e308), document("b", x=1.7e308), document("c", x=1.7e308)]
    documents += [document("d", x=1.7e308)]
    rest = {"field_b": "x"} if function == "correlation" else {}
    rest |= {"percentile_value": 10} if function == "percentile" else {}
    with pytest.raises(StageError, match=f"{function} of 'x' is too large for a number"):
        figure(documents, function, "x", **rest)


def test_rows_that_are_too_large_for_the_statistics_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.stages.aggregate.METADATA_MAX_BYTES", 100)
    assert figure(documents_of(["x"]), "collect", "value") == ["x"]
    with pytest.raises(StageError, match="bytes, over the limit of 100; set a limit"):
        figure(documents_of(["x" * 100]), "collect", "value")


def test_a_pipeline_sorts_rows_and_reads_them_in_templates(store: DocumentStore) -> None:
    second = "{{STAGE.by_year.metadata.aggregations[1].year}}"
    by_year = {"aggregations": [COUNT], "group_by": [{"field": "year"}]}
    stages = [
        stage("by_year", "aggregate", **by_year, include_documents=True),
        stage("keep", "attribute_filter", field="year", value=second),
        stage("years", "aggregate", **by_year),
        stage("sort", "sort_attribute", field="n"),
    ]  # fmt: skip
    seen = execute(store, stages, ["col_books"])
    assert (seen["error"], [(each["year"], each["n"]) for each in seen["documents"]]) == (None, [(2001, 3)])


def aggregation(**fields: Any) -> dict[str, Any]:
    return {"aggregations": [{"alias": "x", **fields}]}


GROUPED = {"aggregations": [COUNT], "group_by": [{"field": "kind"}]}


@pytest.mark.parametrize(
    ("parameters", "place", "words"),
    [
        (aggregation(function="sum"), "aggregations[0].field", "sum needs a field"),
        (aggregation(function="sum", field=None), "aggregations[0].field", "sum needs a field"),
        (aggregation(function="sum", field="a", field_b="b"), "aggregations[0].field_b", "for no other"),
        (aggregation(function="correlation", field="a"), "aggregations[0].field_b", "which need it"),
        (aggregation(function="count", percentile_value=9), "aggregations[0].percentile_value", "not for"),
        (aggregation(function="count", top_k=3), "aggregations[0].top_k", "not for count"),
        (aggregation(function="median", field="a"), "aggregations[0].function", "function"),
        (aggregation(function="count", alias="a.b"), "aggregations[0].alias", "alias"),
        ({"aggregations": []}, "aggregations", "aggregations"),
        ({}, "aggregations", "aggregations"),
        ({**GROUPED, "group_by": []}, "group_by", "group_by"),
        ({"aggregations": [COUNT], "sort_by": "n"}, "sort_by", "need group_by"),
        ({"aggregations": [COUNT], "limit": 3}, "limit", "need group_by"),
        ({"aggregations": [COUNT], "sort_order": "asc"}, "sort_order", "sort_order needs sort_by"),
        ({**GROUPED, "sort_order": "asc"}, "sort_order", "sort_order needs sort_by"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(parameters: dict[str, Any], place: str, words: str) -> None:
    assert list(refused_when_saved(Aggregate, parameters)) == [place]
    assert words in refused_when_rendered(Aggregate, parameters)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({**GROUPED, "sort_by": "total"}, "sort_by names 'total', which is none of kind, n"),
        ({"aggregations": [COUNT, COUNT]}, "two columns are named 'n'"),
        ({**GROUPED, "group_by": [{"field": "n"}]}, "two columns are named 'n'"),
        ({**GROUPED, "group_by": [{"field": "about.score"}]}, "'score' is taken"),
        (aggregation(function="count", alias="payload"), "'payload' is taken"),
    ],
)
def test_names_that_clash_are_refused_when_rendered(parameters: dict[str, Any], words: str) -> None:
    assert words in refused_when_rendered(Aggregate, parameters)


def test_a_parameter_of_another_function_is_refused_in_words() -> None:
    assert refused_when_saved(Aggregate, aggregation(function="count", top_k=3)) == {
        "aggregations[0].top_k": '3 is not allowed; Allowed: 10, null when function is "count"'
    }


def test_what_the_typed_client_sends_is_accepted() -> None:
    sent = {"aggregations": [{**COUNT, "field": None, "field_b": None, "percentile_value": 50, "top_k": 10}],
            "sort_by": "null", "sort_order": "desc", "include_documents": False}  # fmt: skip
    assert refused_when_saved(Aggregate, sent) == {}


def test_rows_have_no_order_but_documents_that_pass_keep_theirs() -> None:
    before = (SortKey("year"),)
    parameters = {"aggregations": [COUNT]}
    assert Aggregate(AggregateParameters.model_validate(parameters)).order(before) is None
    passing = AggregateParameters.model_validate({**parameters, "include_documents": True})
    assert Aggregate(passing).order(before) == before
