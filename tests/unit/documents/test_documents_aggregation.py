"""Aggregation: exact figures, and groups that agree with a naive reference on whatever documents hold."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import groupby
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.documents.aggregation import Figure, GroupField, Having, Plan, Ranges, aggregate
from shared.documents.aggregation import figures as figures_module
from shared.documents.aggregation import run as run_module
from shared.documents.aggregation.dates import instant, part, truncated
from shared.errors import InvalidInput
from shared.filters import Condition, ranked

COUNT = Figure("count", None, "n")

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
    st.sampled_from(["", "a", "b", "1", "true"]),
    st.dictionaries(st.sampled_from("xy"), st.integers(0, 2), max_size=2),
)
documents = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "g": st.sampled_from([None, 1, 1.0, "1", True, "true", "a", [1, 2], 0.5]),
            "v": st.one_of(values, st.lists(values, max_size=3)),
        },
    ),
    max_size=12,
)


def rows(records: list[dict[str, Any]], *figures: Figure, **over: Any) -> list[dict[str, Any]]:
    return aggregate(records, Plan(figures, **over)).rows


def metrics(records: list[dict[str, Any]], function: Any) -> Any:
    [row] = rows(records, Figure(function, "v", "m"))
    return row["metrics"]["m"]


# --- a naive reference -------------------------------------------------------------------------------


def flat(records: list[dict[str, Any]]) -> list[Any]:
    found: list[Any] = []
    for record in records:
        value = record.get("v")
        found += value if isinstance(value, list) else [value]
    return [each for each in found if each is not None]


def once(found: list[Any]) -> list[Any]:
    return [each for place, each in enumerate(found) if ranked(each) not in map(ranked, found[:place])]


def reference(records: list[dict[str, Any]]) -> dict[str, Any]:
    present = [record["v"] for record in records if record.get("v") is not None]
    found = flat(records)
    numbers = [each for each in found if isinstance(each, int | float) and not isinstance(each, bool)]
    total = sum(map(Fraction, numbers))
    whole = all(isinstance(each, int) for each in numbers)
    return {
        "count": len(present),
        "count_distinct": len(once(found)),
        "sum": int(total) if whole else float(total),
        "avg": float(total / len(numbers)) if numbers else None,
        "min": min(found, key=ranked, default=None),
        "max": max(found, key=ranked, default=None),
        "first": present[0] if present else None,
        "last": present[-1] if present else None,
        "push": found,
        "add_to_set": once(found),
    }


def label(value: Any) -> str | None:
    """The text of a group: written as JSON, but equal numbers alike."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return orjson.dumps(value).decode()


@given(documents)
def test_every_figure_agrees_with_the_reference(records: list[dict[str, Any]]) -> None:
    expected = reference(records)
    [row] = rows(records, *(Figure(name, "v", name) for name in expected))
    assert repr(row["metrics"]) == repr(expected)


@given(documents)
def test_groups_agree_with_the_reference(records: list[dict[str, Any]]) -> None:
    found = rows(records, Figure("push", "v", "m"), COUNT, groups=[GroupField("g", "by")])
    by_label: dict[str | None, list[dict[str, Any]]] = {}
    for record in records:
        by_label.setdefault(label(record.get("g")), []).append(record)
    assert [(row["group"]["by"], row["metrics"]["n"]) for row in found] == [
        (name, len(group)) for name, group in by_label.items()
    ]
    assert repr([row["metrics"]["m"] for row in found]) == repr([flat(group) for group in by_label.values()])


@given(documents)
def test_null_is_as_good_as_missing(records: list[dict[str, Any]]) -> None:
    plan = Plan([Figure("push", "v", "m"), COUNT], [GroupField("g", "g")])
    with_nulls = [{"g": each.get("g"), "v": each.get("v")} for each in records]
    assert repr(aggregate(with_nulls, plan)) == repr(aggregate(records, plan))


def test_scan_gives_the_wanted_fields_of_the_documents_that_pass(
    store: DocumentStore, ref: CollectionRef
) -> None:
    fields = {"a": {"x": [1, 1.0, 2**63]}, 'quo"te': "é\x00", "c": 1}
    store.upsert(
        ref, [DocumentWrite("b", fields), DocumentWrite("a", {"c": 1}), DocumentWrite("c", {"c": 2})]
    )
    found = list(store.scan(ref, ["a", 'quo"te'], where=Condition("c", "eq", 1)))
    assert repr(found) == repr(
        [{"a": None, 'quo"te': None}, {"a": {"x": [1, 1.0, 2**63]}, 'quo"te': "é\x00"}]
    )
    assert list(store.scan(ref, [])) == [{}, {}, {}]


# --- figures -----------------------------------------------------------------------------------------


def test_sums_are_exact_and_do_not_depend_on_the_order() -> None:
    numbers = [1e16, 1.0, -1e16, 0.1, 2**53 + 1]
    assert metrics([{"v": each} for each in numbers], "sum") == float(sum(map(Fraction, numbers)))
    assert metrics([{"v": 0.1}] * 10, "sum") == 1.0
    assert metrics([{"v": 2**53 + 1}, {"v": 1}], "sum") == 2**53 + 2
    assert repr(metrics([{"v": 5e-324}] * 2, "avg")) == "5e-324"
    assert metrics([{"v": "x"}, {"v": True}], "sum") == 0


def test_a_sum_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="sum of 'v' is too large"):
        metrics([{"v": 1.7e308}] * 2, "sum")
    assert metrics([{"v": 1.7e308}] * 2, "avg") == 1.7e308


@pytest.mark.parametrize("function", ["push", "add_to_set", "count_distinct"])
def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    monkeypatch.setattr(figures_module, "KEPT_VALUES_MAX", 3)
    monkeypatch.setattr(run_module, "Memory", lambda: figures_module.Memory(3))
    assert metrics([{"v": [1, 2]}, {"v": 3}], function) in ([1, 2, 3], 3)
    with pytest.raises(InvalidInput, match="over 3 values"):
        metrics([{"v": [1, 2]}, {"v": [3, 4]}], function)


def test_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "GROUPS_MAX", 2)
    by_value = [GroupField("v", "v")]
    assert len(rows([{"v": 1}, {"v": 2}, {"v": 1}], COUNT, groups=by_value)) == 2
    with pytest.raises(InvalidInput, match="over 2 groups"):
        rows([{"v": 1}, {"v": 2}, {"v": 3}], COUNT, groups=by_value)


# --- groups ------------------------------------------------------------------------------------------


def test_without_group_fields_there_is_one_row_even_of_nothing() -> None:
    assert rows([], COUNT, Figure("avg", "v", "m")) == [{"group": {}, "metrics": {"n": 0, "m": None}}]
    assert rows([], COUNT, groups=[GroupField("v", "v")]) == []


@pytest.mark.parametrize(
    ("keep", "shown"),
    [
        (None, ["1", "true", "x", None]),
        ("number", [1, "1", "true", "x", None]),
        ("boolean", ["1", True, "true", "x", None]),
    ],
)
def test_group_values_are_text_unless_their_type_is_kept(keep: Any, shown: list[Any]) -> None:
    records = [{"v": each} for each in (1, 1.0, "1", True, "true", "x", None)] + [{}]
    found = rows(records, COUNT, groups=[GroupField("v", "v", keep)])
    assert [row["group"]["v"] for row in found] == shown
    assert sum(row["metrics"]["n"] for row in found) == 8


def test_numbers_are_sorted_as_numbers_though_shown_as_text() -> None:
    records = [{"v": each} for each in (10, 9, None, 100)]
    for descending, order in ((False, ["9", "10", "100", None]), (True, ["100", "10", "9", None])):
        found = rows(records, COUNT, groups=[GroupField("v", "v")], sort_by="v", descending=descending)
        assert [row["group"]["v"] for row in found] == order


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("year", "2026-01-01T00:00:00Z"),
        ("month", "2026-11-01T00:00:00Z"),
        ("week", "2026-10-26T00:00:00Z"),
        ("day", "2026-11-01T00:00:00Z"),
        ("hour", "2026-11-01T23:00:00Z"),
        ("minute", "2026-11-01T23:30:00Z"),
        ("second", "2026-11-01T23:30:15Z"),
    ],
)
def test_a_date_is_truncated_in_utc(unit: Any, start: str) -> None:
    at = instant("2026-11-02T01:30:15.9+02:00")  # a Sunday in UTC, a Monday there
    assert at is not None
    assert truncated(at, unit) == start


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("year", 2027), ("month", 1), ("week", 53), ("day", 3), ("dayOfWeek", 1), ("dayOfYear", 3),
        ("hour", 4), ("minute", 5), ("second", 6),
    ],
)  # fmt: skip
def test_a_part_of_a_date(unit: Any, number: int) -> None:
    at = instant("2027-01-03T04:05:06")  # a Sunday, in the last week of 2026
    assert at is not None
    assert part(at, unit) == number


def test_what_is_no_date_is_in_the_group_of_null() -> None:
    records = [
        {"d": each} for each in ("2026-01-05", "2026-01-09T10:00:00Z", "soon", 5, "9999-12-31T23:59:59-01:00")
    ]
    found = rows(records, COUNT, groups=[GroupField("d", "week", date_trunc="week")])
    assert [(row["group"]["week"], row["metrics"]["n"]) for row in found] == [
        ("2026-01-05T00:00:00Z", 2),
        (None, 3),
    ]
    found = rows(records, COUNT, groups=[GroupField("d", "month", date_part="month")])
    assert [row["group"]["month"] for row in found] == ["1", None]


@pytest.mark.parametrize(
    ("boundaries", "outside", "names"),
    [
        ([0, 10, 20], None, {-1: "<0", 0: "0-10", 10: "0-10", 10.5: "10-20", 20: "10-20", 21: ">20"}),
        ([0, 10], "other", {-1: "other", 5: "0-10", 11: "other"}),
        ([5], None, {4: "<5", 5: "5-5", 6: ">5"}),
        ([0.5, 1], None, {0.5: "0.5-1", 0.75: "0.5-1"}),
    ],
)
def test_ranges(boundaries: Any, outside: Any, names: dict[float, str]) -> None:
    ranges = Ranges(boundaries, outside)
    assert {value: ranges.place(value)[1] for value in names} == names


@given(st.lists(st.integers(1, 9), min_size=1, unique=True).map(sorted), st.integers(0, 10))
def test_ranges_cover_every_number_once_and_in_order(boundaries: list[int], value: int) -> None:
    place, name = Ranges(boundaries).place(value)
    following, other = Ranges(boundaries).place(value + 1)
    assert place <= following
    assert (place == following) == (name == other)
    low, _, high = name.partition("-")
    assert not high or int(low) <= value <= int(high)


def test_ranges_stand_in_order_and_leave_out_what_is_no_number() -> None:
    records = [{"v": each} for each in (25, 5, "x", 15, -1)]
    by_range = [GroupField("v", "v", ranges=Ranges([0, 10, 20]))]
    found = rows(records, COUNT, groups=by_range, sort_by="v", descending=False)
    assert [row["group"]["v"] for row in found] == ["<0", "0-10", "10-20", ">20", None]


# --- unwind, having, sort, limit ---------------------------------------------------------------------


def test_unwind_makes_a_document_of_each_element() -> None:
    records = [
        {"a": {"items": [{"p": 1}, {"p": 2}]}, "x": "k"},
        {"a": {"items": []}},
        {"a": {"items": {"p": 3}}},
        {},
    ]
    plan = Plan([COUNT, Figure("sum", "a.items.p", "s")], [GroupField("x", "x")], unwind="a.items")
    outcome = aggregate(records, plan)
    assert [(row["group"]["x"], row["metrics"]) for row in outcome.rows] == [
        ("k", {"n": 2, "s": 3}),
        (None, {"n": 1, "s": 3}),
    ]
    assert outcome.documents == 4
    assert records[0] == {"a": {"items": [{"p": 1}, {"p": 2}]}, "x": "k"}


def test_unwinding_through_a_list_is_refused() -> None:
    with pytest.raises(InvalidInput, match="unwind: a is a list"):
        rows([{"a": [{"b": [1]}]}], COUNT, unwind="a.b")


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("gt", 1, ["b", "c"]),
        ("gte", 2, ["b", "c"]),
        ("lt", 3, ["a", "b"]),
        ("lte", 1, ["a"]),
        ("eq", 2.0, ["b"]),
        ("ne", 2, ["a", "c", "d"]),
        ("eq", "2", []),
        ("ne", "2", ["a", "b", "c", "d"]),
    ],
)
def test_having_keeps_the_groups_whose_figure_passes(operator: Any, value: Any, kept: list[str]) -> None:
    records: list[dict[str, Any]] = [{"g": "a", "v": 1}, {"g": "b", "v": 2}, {"g": "c", "v": 3}, {"g": "d"}]
    having = [Having("m", operator, value)]
    found = rows(records, Figure("max", "v", "m"), groups=[GroupField("g", "g")], having=having)
    assert [row["group"]["g"] for row in found] == kept


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 3)), max_size=9), st.booleans())
def test_rows_are_sorted_with_nulls_last_and_then_cut(pairs: list[tuple[str, Any]], descending: bool) -> None:
    records = [{"g": name, "v": value} for name, value in pairs]
    plan = {"groups": [GroupField("g", "g")], "sort_by": "m", "descending": descending}
    whole = rows(records, Figure("max", "v", "m"), **plan)
    figures = [row["metrics"]["m"] for row in whole]
    known = [each for each in figures if each is not None]
    assert figures == sorted(known, reverse=descending) + [None] * (len(figures) - len(known))
    for _, tied in groupby(whole, key=lambda row: row["metrics"]["m"]):
        names = [row["group"]["g"] for row in tied]
        assert names == [name for name in dict.fromkeys(name for name, _ in pairs) if name in names]
    outcome = aggregate(records, Plan([Figure("max", "v", "m")], limit=1, **plan))
    assert (outcome.rows, outcome.found) == (whole[:1], len(whole))


def test_doubles_of_all_sizes_add_up() -> None:
    numbers = [math.ldexp(1.0, exponent) for exponent in (-1074, -1022, 0, 1023)]
    assert metrics([{"v": each} for each in (*numbers, *(-each for each in numbers))], "sum") == 0.0
