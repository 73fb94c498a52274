from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.filters import parse_filter, substitute_dynamic


def dynamic(name: str) -> dict[str, str]:
    return {"type": "dynamic", "field": name}


def test_inputs_take_the_place_of_dynamic_values_and_keep_their_type() -> None:
    tree = {
        "AND": [
            {"field": "a", "operator": "gt", "value": dynamic("inputs.price.min")},
            {"field": "b", "operator": "in", "value": ["x", dynamic("INPUT.tag")]},
        ],
        "c": dynamic("inputs.flag"),
    }
    inputs = {"price": {"min": 2}, "tag": "y", "flag": False}
    assert substitute_dynamic(tree, inputs) == (
        {
            "AND": [
                {"field": "a", "operator": "gt", "value": 2},
                {"field": "b", "operator": "in", "value": ["x", "y"]},
            ],
            "c": False,
        },
        [],
    )


@pytest.mark.parametrize("inputs", [{}, {"user": None}])
def test_conditions_without_their_input_are_dropped_and_named(inputs: dict[str, Any]) -> None:
    tree = {
        "OR": [
            {"field": "a", "value": dynamic("inputs.user")},
            {"field": "b", "operator": "in", "value": [1, dynamic("inputs.user")]},
        ],
        "c": dynamic("inputs.user"),
        "d": 1,
    }
    rendered, dropped = substitute_dynamic(tree, inputs)
    assert dropped == ["a", "b", "c"]
    assert parse_filter(rendered) == parse_filter({"d": 1})


def test_the_given_tree_is_left_as_it_was() -> None:
    tree = {"AND": [{"field": "a", "value": dynamic("inputs.x")}]}
    substitute_dynamic(tree, {"x": 1})
    assert tree == {"AND": [{"field": "a", "value": dynamic("inputs.x")}]}


def test_a_value_is_searched_for_dynamic_ones_at_any_depth_that_a_filter_may_have() -> None:
    value = {"exterior": {"points": [[0, dynamic("inputs.lat")], dynamic("inputs.point")]}, "interiors": None}
    rendered, dropped = substitute_dynamic({"field": "a", "value": value}, {"lat": 1, "point": [2, 3]})
    assert rendered["value"] == {"exterior": {"points": [[0, 1], [2, 3]]}, "interiors": None}
    assert dropped == []


def test_a_value_nested_without_end_is_left_to_the_parser() -> None:
    value: Any = dynamic("inputs.x")
    for _ in range(5000):
        value = [value]
    rendered, _ = substitute_dynamic({"field": "a", "value": value}, {})
    with pytest.raises(InvalidInput, match="value"):
        parse_filter(rendered)


@pytest.mark.parametrize("name", ["user", "doc.user", None, 7])
def test_a_dynamic_value_that_names_no_input_is_refused(name: Any) -> None:
    with pytest.raises(InvalidInput, match=r"inputs\.<name>"):
        substitute_dynamic({"a": {"type": "dynamic", "field": name}}, {"user": 1})


@pytest.mark.parametrize("tree", [None, {}, [], "text"])
def test_what_is_no_tree_is_left_to_the_parser(tree: Any) -> None:
    assert substitute_dynamic(tree, {}) == (tree, [])
