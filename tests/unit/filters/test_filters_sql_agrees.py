"""Compiled SQL means what the Python evaluator means, on random documents, filters and orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import orjson
import pytest
from filter_strategies import filters, payloads, sort_keys, sortable
from geo_strategies import geo_conditions, geo_payloads
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.filters.ast import And, AnyText, Condition, Filter, Not, Or, Partition
from shared.filters.evaluate import compile_predicate
from shared.filters.list_bits import list_bits
from shared.filters.sort import SortKey, position, sort_documents
from shared.filters.sql import Parameters, compile_where
from shared.filters.sql_functions import register_functions
from shared.filters.sql_sort import compile_after, compile_order
from shared.models.document import Document

EXAMPLES = settings(max_examples=300, deadline=None, derandomize=False)
EVERY_BIT = 2**63 - 1
collections = st.lists(payloads, min_size=1, max_size=5)
coincidences = st.sampled_from([0, EVERY_BIT])  # bits that other lists of the document set by chance
geo_collections = st.lists(geo_payloads, min_size=1, max_size=5)
sortable_collections = st.lists(sortable, min_size=1, max_size=5)


class Table:
    """A documents table in memory, with the columns that compiled SQL reads."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        register_functions(self.connection)
        self.connection.execute("CREATE TABLE documents (document_id TEXT, list_bits INTEGER, payload BLOB)")

    def fill(self, payloads: Sequence[dict[str, Any]], more_bits: int = 0) -> list[Document]:
        self.connection.execute("DELETE FROM documents")
        documents = []
        for index, fields in enumerate(payloads):
            payload = {**fields, "document_id": f"doc_{index}", "collection_id": "col_1"}
            raw = orjson.dumps(payload)
            row = (payload["document_id"], list_bits(payload) | more_bits, raw)
            self.connection.execute("INSERT INTO documents VALUES (?, ?, jsonb(?))", row)
            documents.append(Document(payload["document_id"], "col_1", raw))
        return documents

    def ids(self, where: str, parameters: Parameters, order: str = "document_id") -> list[str]:
        sql = f"SELECT document_id FROM documents WHERE {where} ORDER BY {order}"
        return [row[0] for row in self.connection.execute(sql, parameters.values)]

    def matching(self, filter_: Filter) -> list[str]:
        parameters = Parameters()
        return self.ids(compile_where(filter_, parameters), parameters)


@pytest.fixture(scope="module")
def table() -> Table:
    return Table()


def alternatives(*values: Any) -> tuple[Condition, ...]:
    return tuple(Condition("a", "eq", value) for value in values)


@EXAMPLES
@given(payloads=collections, filter_=filters, more_bits=coincidences)
@example([{"a": [{"b": 1}, {"b": [2]}]}], Condition("a.b", "eq", 2), 0)
@example([{"a": {"0": 1}}, {"a": [1]}, {"a": [[1]]}], Condition("a.0", "eq", 1), 0)
@example([{"a": True}, {"a": 1}, {"a": 1.0}, {"a": "1"}], Condition("a", "eq", 1), 0)
@example([{"a": 2**63}, {"a": 2**63 + 1}], Condition("a", "in", [2**63]), 0)
@example([{"a": "x\x00Y"}], Condition("a", "ends_with", "y", case_sensitive=False), 0)
# Lists and objects are not the text of their JSON.
@example([{"a": "[1]"}, {"a": [[1]]}, {"a": [1]}], Condition("a", "eq", "[1]"), 0)
@example([{"a": '{"b":1}'}, {"a": {"b": 1}}], Condition("a", "in", ['{"b":1}', "x"]), 0)
@example([{"a": {"b": 1}}, {"a": 0}, {"a": ""}], Condition("a", "eq", "", case_sensitive=False), 0)
# The values of an object are no elements, and a scalar is none either, whatever the bits say.
@example([{"a": {"b": "x"}}, {"a": ["x"]}, {"a": "x"}], Condition("a", "eq", "x"), EVERY_BIT)
@example([{"a": {"b": "x"}}, {"a": ["xy"]}, {"a": "xy"}], Condition("a", "contains", "x"), EVERY_BIT)
@example([{"a": 1}, {"a": [1]}, {"a": {"b": 1}}], Condition("a", "contains", 1), EVERY_BIT)
@example([{"a": {"b": "x"}}, {"a": [{"b": "x"}]}], Condition("a.b", "eq", "x"), EVERY_BIT)
# Alternatives for one field.
@example([{"a": 1}, {"a": "x"}, {}, {"a": [True]}, {"a": 2}], Or(alternatives(1, "x", None, True)), 0)
@example([{"a": 1}, {"a": "x"}, {}, {"a": [True]}, {"a": 2}], Not(alternatives(1, None)), 0)
@example([{"a": "X"}, {"a": "y"}], Or((Condition("a", "eq", "x", False), Condition("a", "eq", "Y"))), 0)
@example([{"a": 1}], Or((Condition("a", "in", []), Condition("a", "in", []))), 0)
def test_where_selects_what_the_predicate_accepts(
    table: Table, payloads: list[dict[str, Any]], filter_: Filter, more_bits: int
) -> None:
    documents = table.fill(payloads, more_bits)
    predicate = compile_predicate(filter_)
    assert table.matching(filter_) == [d.document_id for d in documents if predicate(d)]


BOX = {"top_left": [0.0, 2.0], "bottom_right": [2.0, 0.0]}
CIRCLE = {"center": [0.0, 0.0], "radius": 300_000.0}
TRIANGLE = {"exterior": [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]], "interiors": []}


@EXAMPLES
@given(payloads=geo_collections, condition=geo_conditions, more_bits=coincidences)
# Two numbers are one point, three are none; numbers that a path gathers from a list are no point either.
@example([{"a": [1, 1]}, {"a": [1, 1, 1]}, {"a": 1}], Condition("a", "geo_bounding_box", BOX), 0)
@example([{"a": [{"b": 1}, {"b": 1}]}], Condition("a.b", "geo_bounding_box", BOX), 0)
@example([{"a": [{"b": [9, 9]}, {"b": [1, 1]}]}], Condition("a.b", "geo_bounding_box", BOX), 0)
# True is no number, though SQLite reads it as 1.
# A number beside a point makes no point of the two.
@example([{"a": [1, {"lat": 0, "lon": 0}]}], Condition("a", "geo_radius", CIRCLE), 0)
@example([{"a": {"lat": True, "lon": 1}}, {"a": [1, True]}], Condition("a", "geo_bounding_box", BOX), 0)
# A point in an object under the field is not the field's.
@example([{"a": {"b": [1, 1], "c": {"lat": 1, "lon": 1}}}], Condition("a", "geo_radius", CIRCLE), EVERY_BIT)
@example([{"a": {"lat": 1, "lon": 1}}, {"a": "[1,1]"}], Condition("a", "geo_radius", CIRCLE), EVERY_BIT)
@example([{"a": [{"lat": 3, "lon": 0}, [0, 1]]}, {"a": []}], Condition("a", "geo_polygon", TRIANGLE), 0)
def test_areas_select_the_points_that_the_predicate_accepts(
    table: Table, payloads: list[dict[str, Any]], condition: Condition, more_bits: int
) -> None:
    documents = table.fill(payloads, more_bits)
    predicate = compile_predicate(condition)
    assert table.matching(condition) == [d.document_id for d in documents if predicate(d)]


@EXAMPLES
@given(payloads=sortable_collections, keys=sort_keys)
@example(
    payloads=[{"a": v} for v in (None, True, 1, 0.5, "b", "a", [1], {})], keys=[SortKey("a", "desc", False)]
)
@example(payloads=[{"a": [{"b": 1}]}, {"a": {"b": 2}}, {"a": []}], keys=[SortKey("a.b")])
def test_order_by_sorts_as_python_does(
    table: Table, payloads: list[dict[str, Any]], keys: list[SortKey]
) -> None:
    documents = table.fill(payloads)
    parameters = Parameters()
    order = compile_order(keys, parameters)
    assert table.ids("1", parameters, order) == [d.document_id for d in sort_documents(documents, keys)]


@EXAMPLES
@given(payloads=sortable_collections, keys=sort_keys, index=st.integers(0, 5))
def test_after_a_position_comes_the_rest_of_the_order(
    table: Table, payloads: list[dict[str, Any]], keys: list[SortKey], index: int
) -> None:
    ordered = sort_documents(table.fill(payloads), keys)
    last = ordered[min(index, len(ordered) - 1)]
    parameters = Parameters()
    where = compile_after(keys, position(last, keys), last.document_id, parameters)
    rest = [d.document_id for d in ordered[ordered.index(last) + 1 :]]
    assert table.ids(where, parameters, compile_order(keys, parameters)) == rest


@pytest.mark.parametrize("group", [And, Or, Not])
def test_a_thousand_conditions_in_one_group_compile(table: Table, group: type[And | Or | Not]) -> None:
    documents = table.fill([{"a": number} for number in range(3)])
    filter_ = group(tuple(Condition("a.b.c", "ne", number) for number in range(1000)))
    predicate = compile_predicate(filter_)
    assert table.matching(filter_) == [d.document_id for d in documents if predicate(d)]


def test_a_deep_tree_compiles(table: Table) -> None:
    table.fill([{"a": 1}])
    filter_: Filter = Condition("a", "eq", 1)
    for _ in range(20):
        filter_ = Not((And((filter_, filter_)),)) if _ % 7 == 0 else Not((filter_,))
    assert table.matching(filter_) == ["doc_0"]


def test_a_list_of_ten_thousand_values_compiles(table: Table) -> None:
    table.fill([{"a": 9_999}, {"a": "x9999"}, {"a": 10_000}])
    numbers = Condition("a", "in", list(range(10_000)))
    texts = Condition("a", "in", [f"X{n}" for n in range(10_000)], case_sensitive=False)
    assert (table.matching(numbers), table.matching(texts)) == (["doc_0"], ["doc_1"])


@EXAMPLES
@given(
    collections, st.sampled_from(["x", "B*D", "a?c", "doc_1", "straSSE", "*", "ß", "[", ".", "\\", "_", "no"])
)
def test_a_search_of_all_texts_agrees(table: Table, payloads: list[dict[str, Any]], pattern: str) -> None:
    documents = table.fill(payloads)
    predicate = compile_predicate(AnyText(pattern))
    assert table.matching(AnyText(pattern)) == [each.document_id for each in documents if predicate(each)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("world", [0]),
        ("HELLO*d", [0]),
        ("w?rld", [0]),
        ("deep", [1]),
        ("doc_", [0, 1, 2]),
        ("*_2", [2]),
        ("key", []),
        ("col_1", []),
        ("1.5", []),
        (".", []),
    ],
)
def test_a_search_looks_into_ids_and_texts_alone(table: Table, pattern: str, found: list[int]) -> None:
    table.fill([{"a": "Hello\nWorld"}, {"key": {"b": [1.5, ["deep"]]}}, {"_internal": {"x": "world"}}])
    assert table.matching(AnyText(pattern)) == [f"doc_{number}" for number in found]


@pytest.mark.parametrize("count", [1, 2, 7, 256])
def test_parts_hold_each_document_once(table: Table, count: int) -> None:
    documents = table.fill([{}] * 20)
    parts = [table.matching(Partition(index, count)) for index in range(count)]
    assert sorted(each for part in parts for each in part) == sorted(each.document_id for each in documents)
    for index, part in enumerate(parts):
        predicate = compile_predicate(Partition(index, count))
        assert part == sorted(each.document_id for each in documents if predicate(each))


def test_a_part_of_an_id_never_changes(table: Table) -> None:
    table.fill([{}] * 4)
    assert table.matching(Partition(0, 2)) == ["doc_0", "doc_1", "doc_2"]
    assert table.matching(Partition(1, 2)) == ["doc_3"]
