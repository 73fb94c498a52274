"""Filter trees of the contract's section 4, and every way to write them wrong."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.filters import And, Condition, Not, Or, check_unrendered, parse_filter
from shared.filters.parse import MAX_DEPTH, MAX_LIST_VALUES, MAX_NODES, MAX_PATTERN_CHARS


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"a": 1}
    for _ in range(depth - 1):
        tree = {"AND": [tree]}
    return tree


REFUSED = {
    "no object": ([{"a": 1}], ["filters"], "object"),
    "child no object": ({"AND": [{"a": 1}, 7]}, ["filters", "AND", 1], "object"),
    "group no list": ({"NOT": {"a": 1}}, ["filters", "NOT"], "list of filters"),
    "lower-case group": ({"and": [{"a": 1}]}, ["filters", "and"], "AND in capitals"),
    "unknown operator": (
        {"field": "a", "operator": "like", "value": 1},
        ["filters", "operator"],
        "starts_with",
    ),
    "upper-case operator": ({"field": "a", "operator": "EQ", "value": 1}, ["filters", "operator"], "unknown"),
    "unknown geo operator": (
        {"OR": [{"field": "a", "operator": "geo_circle", "value": {}}]},
        ["filters", "OR", 0, "operator"],
        "geo_radius",
    ),
    "geo_radius without value": ({"field": "a", "operator": "geo_radius"}, ["filters"], "the area"),
    "unknown key": ({"field": "a", "operater": "eq", "value": 1}, ["filters", "operater"], "case_sensitive"),
    "no value": ({"field": "a", "operator": "exists"}, ["filters"], "true or false"),
    "operator without field": ({"operator": "eq", "value": 1}, ["filters", "operator"], "'field'"),
    "in without list": ({"field": "a", "operator": "in", "value": "x"}, ["filters", "value"], "list"),
    "in of objects": (
        {"field": "a", "operator": "in", "value": [1, {}]},
        ["filters", "value", 1],
        "each value",
    ),
    "exists of text": (
        {"field": "a", "operator": "exists", "value": "true"},
        ["filters", "value"],
        "true or false",
    ),
    "gt of boolean": (
        {"field": "a", "operator": "gt", "value": True},
        ["filters", "value"],
        "number or text",
    ),
    "gt of null": ({"field": "a", "operator": "gt", "value": None}, ["filters", "value"], "number or text"),
    "starts_with number": (
        {"field": "a", "operator": "starts_with", "value": 1},
        ["filters", "value"],
        "text",
    ),
    "contains null": ({"field": "a", "operator": "contains", "value": None}, ["filters", "value"], "text"),
    "eq list": ({"field": "a", "value": [1]}, ["filters", "value"], "`in`"),
    "shorthand object": ({"a": {"b": 1}}, ["filters", "a"], "dotted path"),
    "look-behind": ({"field": "a", "operator": "regex", "value": "(?<=x)y"}, ["filters", "value"], "RE2"),
    "long pattern": (
        {"field": "a", "operator": "regex", "value": "x" * (MAX_PATTERN_CHARS + 1)},
        ["filters", "value"],
        "at most",
    ),
    "not finite": ({"a": float("nan")}, ["filters", "a"], "finite"),
    "too large": ({"a": 10**400}, ["filters", "a"], "too large"),
    "half a surrogate": ({"a": "\ud800"}, ["filters", "a"], "surrogate"),
    "empty path": ({"field": "", "value": 1}, ["filters", "field"], "1 to 255"),
    "empty part": ({"a..b": 1}, ["filters", "a..b"], "empty part"),
    "control character": ({"field": "a\n", "value": 1}, ["filters", "field"], "control"),
    "case_sensitive of text": ({"a": 1, "case_sensitive": "no"}, ["filters", "case_sensitive"], "true"),
    "too deep": (nested(MAX_DEPTH + 1), ["filters", *["AND", 0] * MAX_DEPTH], "levels deep"),
    "too many nodes": ({"AND": [{}] * MAX_NODES}, ["filters", "AND", MAX_NODES - 1], "nodes"),
    "too many shorthands": ({str(n): 1 for n in range(MAX_NODES)}, ["filters", str(MAX_NODES - 1)], "nodes"),
    "list too long": (
        {"field": "a", "operator": "in", "value": [0] * (MAX_LIST_VALUES + 1)},
        ["filters", "value"],
        "at most 10000",
    ),
}


@pytest.mark.parametrize(("tree", "loc", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_tree_is_refused_at_its_place(tree: Any, loc: list[str | int], message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(tree)
    [error] = refused.value.errors
    assert error["loc"] == loc
    assert message in error["msg"]


def test_the_place_begins_where_the_caller_says() -> None:
    with pytest.raises(InvalidInput, match=r"^stages\[0\]\.pre_filters\.AND\[1\]\.value: operator in"):
        parse_filter(
            {"AND": [{}, {"field": "a", "operator": "in", "value": 1}]}, loc=["stages", 0, "pre_filters"]
        )


@pytest.mark.parametrize("tree", [None, {}, {"AND": []}, {"OR": [], "NOT": None}, {"AND": [{}, {"OR": []}]}])
def test_a_tree_without_conditions_is_no_filter(tree: Any) -> None:
    assert parse_filter(tree) is None


def test_the_keys_of_a_node_are_all_required() -> None:
    tree = {"OR": [{"a": 1}, {"b": 2}], "NOT": [{"c": 3}], "d.e": "x"}
    assert parse_filter(tree) == And(
        (
            Or((Condition("a", "eq", 1), Condition("b", "eq", 2))),
            Not((Condition("c", "eq", 3),)),
            Condition("d.e", "eq", "x"),
        )
    )


def test_the_operator_defaults_to_eq() -> None:
    assert parse_filter({"field": "a", "value": None}) == Condition("a", "eq", None)


def test_the_deepest_and_widest_trees_allowed_are_read() -> None:
    assert parse_filter(nested(MAX_DEPTH)) is not None
    assert parse_filter({"AND": [{"field": "a", "value": 1}] * (MAX_NODES - 1)}) is not None


def test_the_typed_client_sends_case_sensitive_with_each_condition() -> None:
    tree = {"case_sensitive": False, "field": "a", "operator": "eq", "value": "x"}
    assert parse_filter(tree) == Condition("a", "eq", "x", case_sensitive=False)


def test_case_is_inherited_until_a_node_says_otherwise() -> None:
    tree = {
        "case_sensitive": False,
        "AND": [{"a": "x"}, {"case_sensitive": True, "b": "y"}, {"case_sensitive": None, "c": "z"}],
    }
    assert parse_filter(tree) == And(
        (Condition("a", "eq", "x", False), Condition("b", "eq", "y", True), Condition("c", "eq", "z", False))
    )


@pytest.mark.parametrize("case_insensitive", [True, False])
def test_where_no_node_speaks_of_case_the_context_rules(case_insensitive: bool) -> None:
    parsed = parse_filter({"a": "x"}, case_insensitive=case_insensitive)
    assert parsed == Condition("a", "eq", "x", case_sensitive=not case_insensitive)


def test_integers_beyond_64_bits_become_doubles() -> None:
    parsed = parse_filter({"field": "a", "operator": "in", "value": [2**70, 2**63 - 1]})
    assert isinstance(parsed, Condition)
    assert [(type(value), value) for value in parsed.value] == [(float, 2.0**70), (int, 2**63 - 1)]


@pytest.mark.parametrize(
    "tree",
    [
        {"field": "a", "operator": "in", "value": "{{INPUT.ids}}"},
        {"field": "a", "operator": "exists", "value": {"type": "dynamic", "field": "inputs.flag"}},
        {"field": "a", "operator": "in", "value": [1, {"type": "dynamic", "field": "inputs.x"}]},
        {"field": "a", "operator": "regex", "value": "{{ INPUT.pattern }}("},
        {"a": {"type": "dynamic", "field": "inputs.x"}},
        {"AND": "{{INPUT.conditions}}"},
        "{{INPUT.filters}}",
    ],
)
def test_unrendered_values_are_not_judged(tree: Any) -> None:
    check_unrendered(tree)
    with pytest.raises(InvalidInput):
        parse_filter(tree)


def test_an_unrendered_tree_is_judged_around_its_templates() -> None:
    with pytest.raises(InvalidInput, match="unknown operator"):
        check_unrendered({"AND": [{"a": "{{x}}"}, {"field": "b", "operator": "like", "value": "{{x}}"}]})
    with pytest.raises(InvalidInput, match="list"):
        check_unrendered({"field": "b", "operator": "in", "value": "plain text"})
