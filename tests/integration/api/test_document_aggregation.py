"""Aggregation and distinct values over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.answers import ok, places, refused

AGGREGATE = "/v1/collections/sales/documents/aggregate"
DISTINCT = "/v1/collections/sales/documents/distinct"
COUNT = {"function": "count", "alias": "n"}
SALES = [
    {"shop": "north", "rating": 5, "paid": True, "at": "2026-01-05T10:00:00Z", "items": [{"price": 10}]},
    {"shop": "south", "rating": 3, "paid": True, "at": "2026-01-20", "items": [{"price": 4}, {"price": 6}]},
    {"shop": "north", "rating": 4, "paid": False, "at": "2026-02-01", "items": []},
    {"rating": 5, "at": "no date"},
]


@pytest.fixture
def sales(api: httpx.Client) -> None:
    """A collection `sales`, in a namespace that declares a payload index of a number and one of a boolean."""
    namespace = api.headers["X-Namespace"]
    indexes = [{"field_name": "rating", "type": "integer"}, {"field_name": "paid", "type": "bool"}]
    ok(api.patch(f"/v1/namespaces/{namespace}", json={"payload_indexes": indexes}))
    ok(api.post("/v1/collections", json={"collection_name": "sales"}))
    documents = [{"document_id": f"s{n}", "payload": payload} for n, payload in enumerate(SALES)]
    body = {"collection_id": "sales", "documents": documents}
    ok(api.post(f"/v1/namespaces/{namespace}/documents/upsert", json=body))


def rows(api: httpx.Client, **body: Any) -> list[tuple[Any, Any]]:
    answer = ok(api.post(AGGREGATE, json={"aggregations": [COUNT], **body}))
    assert answer["total_groups"] == len(answer["results"])
    return [(row["group"], row["metrics"]) for row in answer["results"]]


def test_counts_need_no_groups(api: httpx.Client, sales: None) -> None:
    assert rows(api) == [({}, {"n": 4})]
    assert rows(api, filters={"shop": "north"}, group_by=[]) == [({}, {"n": 2})]


def test_groups_with_figures_sorted_and_cut(api: httpx.Client, sales: None) -> None:
    body = {
        "aggregations": [COUNT, {"function": "avg", "field": "rating", "alias": "mean"}],
        "group_by": [{"field": "shop"}],
        "sort_by": "mean",
        "limit": 2,
    }
    answer = ok(api.post(AGGREGATE, json=body))
    assert answer == {
        "results": [
            {"group": {"shop": None}, "metrics": {"n": 1, "mean": 5.0}},
            {"group": {"shop": "north"}, "metrics": {"n": 2, "mean": 4.5}},
        ],
        "total_groups": 2,
        "query_info": {"documents": 4, "groups": 3},
    }


def test_groups_of_a_declared_number_or_boolean_keep_their_type(api: httpx.Client, sales: None) -> None:
    by_rating = rows(api, group_by=[{"field": "rating", "alias": "stars"}], sort_by="stars")
    assert [group["stars"] for group, _ in by_rating] == [5, 4, 3]
    assert [group["paid"] for group, _ in rows(api, group_by=[{"field": "paid"}])] == [True, False, None]


def test_dates_ranges_unwind_and_having(api: httpx.Client, sales: None) -> None:
    by_month = rows(api, group_by=[{"field": "at", "alias": "month", "date_trunc": "month"}], sort_by="month")
    assert by_month == [
        ({"month": "2026-02-01T00:00:00Z"}, {"n": 1}),
        ({"month": "2026-01-01T00:00:00Z"}, {"n": 2}),
        ({"month": None}, {"n": 1}),
    ]
    prices = rows(
        api,
        aggregations=[COUNT, {"function": "sum", "field": "items.price", "alias": "total"}],
        unwind="items",
        range_buckets=[{"field": "items.price", "boundaries": [0, 5, 10]}],
        having=[{"field": "total", "operator": "gt", "value": 5}],
    )
    assert prices == [({"items.price": "5-10"}, {"n": 2, "total": 16})]
    named = rows(
        api,
        group_by=[{"field": "rating", "alias": "band"}],
        range_buckets=[{"field": "rating", "boundaries": [0, 4], "default_bucket": "high"}],
        sort_by="n",
        sort_direction="asc",
    )
    assert named == [({"band": "high"}, {"n": 2}), ({"band": "0-4"}, {"n": 2})]


def test_distinct_field_is_counted_in_place_of_field(api: httpx.Client, sales: None) -> None:
    count = {"function": "count_distinct", "field": "shop", "distinct_field": "rating", "alias": "n"}
    [(_, metrics)] = rows(api, aggregations=[count], group_by=[{"field": "missing"}])
    assert metrics == {"n": 3}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"aggregations": []}, ["aggregations"]),
        (
            {"aggregations": [{"function": "median", "field": "a", "alias": "m"}]},
            ["aggregations", 0, "function"],
        ),
        ({"aggregations": [{"function": "sum", "alias": "m"}]}, ["aggregations", 0]),
        ({"aggregations": [{**COUNT, "distinct_field": "a"}]}, ["aggregations", 0]),
        ({"aggregations": [{**COUNT, "field": "a..b"}]}, ["aggregations", 0, "field"]),
        ({"aggregations": [{"function": "sum", "field": "a", "alias": "m"}]}, []),
        ({"aggregations": [COUNT, COUNT]}, []),
        ({"group_by": [{"field": "n"}]}, []),
        ({"group_by": [{"field": "a", "date_trunc": "day", "date_part": "day"}]}, ["group_by", 0]),
        ({"group_by": [{"field": "a", "date_part": "quarter"}]}, ["group_by", 0, "date_part"]),
        ({"range_buckets": [{"field": "a", "boundaries": [1, 1]}]}, ["range_buckets", 0]),
        ({"range_buckets": [{"field": "a", "boundaries": []}]}, ["range_buckets", 0, "boundaries"]),
        ({"range_buckets": [{"field": "a", "boundaries": [1]}] * 2}, []),
        (
            {
                "group_by": [{"field": "a", "date_part": "day"}],
                "range_buckets": [{"field": "a", "boundaries": [1]}],
            },
            [],
        ),
        ({"having": [{"field": "x", "operator": "gt", "value": 1}]}, []),
        ({"having": [{"field": "n", "operator": "near", "value": 1}]}, ["having", 0, "operator"]),
        ({"sort_by": "x"}, []),
        ({"limit": 0}, ["limit"]),
        ({"filters": {"AND": 1}}, ["filters", "AND"]),
        ({"unwind": "items.price"}, ["unwind"]),
    ],
)
def test_what_cannot_be_computed_is_422_at_its_place(
    api: httpx.Client, sales: None, body: Any, place: list[Any]
) -> None:
    assert places(refused(api.post(AGGREGATE, json={"aggregations": [COUNT], **body}), 422)) == [place]


def test_distinct_values_the_most_frequent_first(api: httpx.Client, sales: None) -> None:
    assert ok(api.post(DISTINCT, json={"field": "shop"})) == {
        "field": "shop",
        "values": [{"value": "north", "count": 2}, {"value": "south", "count": 1}],
        "total_distinct": 2,
        "query_info": None,
    }
    one = ok(api.post(DISTINCT, json={"field": "rating", "filters": {"shop": "north"}, "limit": 1}))
    assert (one["values"], one["total_distinct"]) == ([{"value": 4, "count": 1}], 1)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ["field"]),
        ({"field": "a..b"}, ["field"]),
        ({"field": "a", "limit": 10_001}, ["limit"]),
        ({"field": "a", "filters": {"AND": 1}}, ["filters", "AND"]),
    ],
)
def test_a_bad_question_for_distinct_values_is_422(
    api: httpx.Client, sales: None, body: Any, place: list[Any]
) -> None:
    assert places(refused(api.post(DISTINCT, json=body), 422)) == [place]


def test_an_unknown_collection_is_404(api: httpx.Client) -> None:
    refused(api.post(AGGREGATE, json={"aggregations": [COUNT]}), 404, "sales")
    refused(api.post(DISTINCT, json={"field": "a"}), 404, "sales")
