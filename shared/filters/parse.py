"""Reading a filter tree from a request: every refusal names the place and what would be accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import re2

from shared.errors import InvalidInput
from shared.filters.ast import (
    EQUALITY,
    GEOGRAPHIC,
    MEMBERSHIP,
    OPERATORS,
    ORDERING,
    PRESENCE,
    TEXTUAL,
    And,
    Condition,
    Filter,
    Not,
    Or,
)
from shared.filters.evaluate import compile_regex
from shared.filters.parse_geo import parse_area
from shared.filters.paths import validate_path
from shared.filters.unrendered import is_unrendered
from shared.filters.values import is_number, number

MAX_DEPTH = 20
MAX_NODES = 1_000
MAX_LIST_VALUES = 10_000
MAX_PATTERN_CHARS = 1_000

_GROUPS: dict[str, type[And | Or | Not]] = {"AND": And, "OR": Or, "NOT": Not}
_CONDITION_KEYS = ("field", "operator", "value", "case_sensitive")
_MISSING = object()
_EXPECTED: dict[str, str] = {
    **dict.fromkeys(MEMBERSHIP, "the value is a list"),
    **dict.fromkeys(PRESENCE, "the value is true or false"),
    **dict.fromkeys(ORDERING, "the value is a number or text"),
    **dict.fromkeys(
        EQUALITY,
        "the value is text, a number, a boolean or null (for lists use `in`, for objects a dotted path)",
    ),
    "contains": "the value is text, a number or a boolean",
    **dict.fromkeys(TEXTUAL, "the value is text"),
    **dict.fromkeys(GEOGRAPHIC, "the value is an object that describes the area"),
}

Loc: TypeAlias = Sequence[str | int]


def parse_filter(tree: Any, *, loc: Loc = ("filters",), case_insensitive: bool = False) -> Filter | None:
    """The filter of a fully rendered tree; None when it sets no condition.

    Args:
        loc: where the tree stands in the request, for the error.
        case_insensitive: how texts compare below nodes that carry no `case_sensitive` of their own.

    Raises:
        InvalidInput: at the first place that is wrong.
    """
    return _Parser(unrendered=False).parse(tree, loc, case_sensitive=not case_insensitive)


def check_unrendered(tree: Any, *, loc: Loc = ("filters",)) -> None:
    """Check a tree before rendering: what is still a template or dynamic is left unchecked.

    Raises:
        InvalidInput: at the first place that is wrong.
    """
    _Parser(unrendered=True).parse(tree, loc, case_sensitive=True)


@dataclass(slots=True)
class _Parser:
    unrendered: bool
    nodes: int = field(default=0)

    def parse(self, tree: Any, loc: Loc, *, case_sensitive: bool) -> Filter | None:
        if tree is None:
            return None
        return _all_of(self._node(tree, loc, depth=1, case_sensitive=case_sensitive))

    def _node(self, node: Any, loc: Loc, *, depth: int, case_sensitive: bool) -> list[Filter]:
        """The conditions of one node, all of which must hold."""
        if self.unrendered and is_unrendered(node):
            return []
        if not isinstance(node, Mapping):
            _refuse(loc, "a filter is an object: a condition, a group (AND, OR, NOT) or {field: value}", node)
        self._count(loc, depth)
        case_sensitive = _case_sensitive(node, loc, case_sensitive)
        if "field" in node:
            return [self._condition(node, loc, case_sensitive)]
        filters: list[Filter] = []
        for key, value in node.items():
            if key in _GROUPS:
                filters += self._group(key, value, [*loc, key], depth, case_sensitive)
            elif key in ("operator", "value"):
                _refuse([*loc, key], "belongs to a condition, but there is no 'field' beside it")
            elif key != "case_sensitive":
                filters.append(self._shorthand(key, value, loc, case_sensitive))
        return filters

    def _count(self, loc: Loc, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            _refuse(
                loc, f"the filter has over {MAX_NODES} nodes; use `in` with a list instead of many conditions"
            )
        if depth > MAX_DEPTH:
            _refuse(loc, f"the filter is nested over {MAX_DEPTH} levels deep; flatten it")

    def _group(self, key: str, children: Any, loc: Loc, depth: int, case_sensitive: bool) -> list[Filter]:
        """AND, OR or NOT; a group without conditions sets none."""
        if children is None or (self.unrendered and is_unrendered(children)):
            return []
        if not isinstance(children, list):
            _refuse(loc, f"{key} takes a list of filters", children)
        parsed = [
            _all_of(self._node(child, [*loc, index], depth=depth + 1, case_sensitive=case_sensitive))
            for index, child in enumerate(children)
        ]
        present = tuple(child for child in parsed if child is not None)
        return [_GROUPS[key](present)] if present else []

    def _condition(self, node: Mapping[str, Any], loc: Loc, case_sensitive: bool) -> Filter:
        unknown = [key for key in node if key not in _CONDITION_KEYS]
        if unknown:
            _refuse(
                [*loc, str(unknown[0])], f"unknown key of a condition; it has {', '.join(_CONDITION_KEYS)}"
            )
        path = validate_path(node["field"], [*loc, "field"])
        operator = _operator(node.get("operator", "eq"), [*loc, "operator"])
        value = node.get("value", _MISSING)
        if value is _MISSING:
            _refuse(loc, f"the condition has no 'value'; {_EXPECTED[operator]}")
        value = self._value(operator, value, [*loc, "value"])
        return Condition(path, operator, value, case_sensitive)

    def _shorthand(self, key: Any, value: Any, loc: Loc, case_sensitive: bool) -> Filter:
        """{"metadata.title": "x"} is title = x."""
        if str(key).upper() in _GROUPS:
            _refuse([*loc, key], f"write {str(key).upper()} in capitals")
        self._count([*loc, key], depth=0)
        path = validate_path(key, [*loc, key])
        return Condition(path, "eq", self._value("eq", value, [*loc, key]), case_sensitive)

    def _value(self, operator: str, value: Any, loc: Loc) -> Any:
        if self.unrendered and is_unrendered(value):
            return value
        if operator in MEMBERSHIP:
            return self._list(value, operator, loc)
        if operator in GEOGRAPHIC:
            return parse_area(operator, value, loc, unrendered=self.unrendered)
        if not _fits(operator, value):
            _refuse(loc, f"operator {operator}: {_EXPECTED[operator]}", value)
        if operator == "regex":
            _check_regex(value, loc)
        return _storable(value, loc)

    def _list(self, values: Any, operator: str, loc: Loc) -> list[Any]:
        if not isinstance(values, list):
            _refuse(loc, f"operator {operator}: {_EXPECTED[operator]}", values)
        if len(values) > MAX_LIST_VALUES:
            _refuse(loc, f"the list has {len(values)} values, at most {MAX_LIST_VALUES}")
        return [self._element(value, [*loc, index]) for index, value in enumerate(values)]

    def _element(self, value: Any, loc: Loc) -> Any:
        if self.unrendered and is_unrendered(value):
            return value
        if not _is_scalar(value):
            _refuse(loc, "each value is text, a number, a boolean or null", value)
        return _storable(value, loc)


def _all_of(filters: list[Filter]) -> Filter | None:
    if len(filters) <= 1:
        return filters[0] if filters else None
    return And(tuple(filters))


def _case_sensitive(node: Mapping[str, Any], loc: Loc, inherited: bool) -> bool:
    own = node.get("case_sensitive")
    if own is None:
        return inherited
    if not isinstance(own, bool):
        _refuse([*loc, "case_sensitive"], "true (exact) or false (ignore case)", own)
    return own


def _operator(name: Any, loc: Loc) -> str:
    if isinstance(name, str) and name in OPERATORS:
        return name
    _refuse(loc, f"unknown operator {name!r}; one of {', '.join(sorted(OPERATORS))}", name)


def _fits(operator: str, value: Any) -> bool:
    if operator in PRESENCE:
        return isinstance(value, bool)
    if operator in ORDERING:
        return isinstance(value, str) or is_number(value)
    if operator in EQUALITY:
        return _is_scalar(value)
    if operator == "contains":
        return value is not None and _is_scalar(value)
    return isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _storable(value: Any, loc: Loc) -> Any:
    """The value as an engine can hold it: whole Unicode, and numbers of 64 bits (values.number)."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            _refuse(loc, "the text holds half of a surrogate pair; send whole Unicode characters")
    elif is_number(value):
        try:
            value = number(value)
            finite = math.isfinite(value)
        except OverflowError:
            finite = False
        if not finite:
            _refuse(loc, "the number is not finite or too large for a double")
    return value


def _check_regex(pattern: str, loc: Loc) -> None:
    if len(pattern) > MAX_PATTERN_CHARS:
        _refuse(loc, f"the pattern has {len(pattern)} characters, at most {MAX_PATTERN_CHARS}")
    try:
        compile_regex(pattern, case_sensitive=True)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        _refuse(
            loc, f"not a pattern of RE2 (which has no look-around and no back-references): {reason}", pattern
        )


def _refuse(loc: Loc, message: str, *value: Any) -> NoReturn:
    if value:
        raise InvalidInput.at(loc, message, value=value[0])
    raise InvalidInput.at(loc, message)
