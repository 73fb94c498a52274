"""Filters as SQLite conditions on the columns `payload` (JSONB) and `list_bits` of a documents table.

Each fragment is true exactly where evaluate.py says so; elsewhere it is false *or null*, which WHERE, AND and
OR treat alike. The cheap value comparison comes first and the type check, which makes it strict, second:
most rows fail the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apsw
import orjson

from shared.filters.ast import GEOGRAPHIC, And, AnyText, Condition, Filter, Not, Or, Partition
from shared.filters.evaluate import OPPOSITES, compile_record_predicate, compile_text_test
from shared.filters.geo import Box, compile_area
from shared.filters.list_bits import path_mask
from shared.filters.paths import payload_parts
from shared.filters.values import comparable, is_number, number

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_BY_FUNCTION = frozenset({"regex", "phrase", "words"})


@dataclass(slots=True)
class Parameters:
    """The values of a statement, bound by position: the text of the SQL never holds a user's value."""

    values: list[Any] = field(default_factory=list)

    def bind(self, value: Any) -> str:
        """Add a value and return its placeholder."""
        self.values.append(value)
        return f"?{len(self.values)}"

    def bind_object(self, value: Any) -> str:
        """Add a Python object, which only a function of sql_functions.py can take up."""
        return self.bind(apsw.pyobject(value))

    def bind_json(self, value: Any) -> str:
        return self.bind(orjson.dumps(value).decode())


@dataclass(frozen=True, slots=True)
class _Place:
    """SQL for one value: the name of its JSON type, and itself."""

    type: str
    value: str

    @classmethod
    def at(cls, path: str) -> _Place:
        """The value at a bound path of the document."""
        return cls(f"json_type(payload, {path})", f"payload ->> {path}")

    @property
    def is_number(self) -> str:
        return f"{self.type} IN ('integer', 'real')"

    @property
    def text(self) -> str:
        """The value if it is text, else '': what a Python function may be given.

        A type check beside the call would not do: SQLite may evaluate the terms of an AND in any order.
        """
        return f"CASE {self.type} WHEN 'text' THEN {self.value} ELSE '' END"

    def compared(self, exact: bool) -> str:
        """The value in the form in which texts are compared."""
        return self.value if exact else f"kennel_fold({self.text})"


@dataclass(frozen=True, slots=True)
class _Coordinates:
    """SQL for the two values that are the numbers of a point, if they are numbers."""

    lon: _Place
    lat: _Place

    @classmethod
    def at(cls, lon_path: str, lat_path: str, parameters: Parameters) -> _Coordinates:
        return cls(_Place.at(parameters.bind(lon_path)), _Place.at(parameters.bind(lat_path)))

    @property
    def are_numbers(self) -> str:
        return f"{self.lon.is_number} AND {self.lat.is_number}"

    def within(self, box: Box, parameters: Parameters) -> str:
        bind = parameters.bind
        spans = [f"{self.lon.value} BETWEEN {bind(west)} AND {bind(east)}" for west, east in box.spans]
        latitudes = f"{self.lat.value} BETWEEN {bind(box.south)} AND {bind(box.north)}"
        return f"{latitudes} AND {_joined('OR', spans, empty='0')}"


def compile_where(filter_: Filter, parameters: Parameters) -> str:
    """The condition in SQL; its values are added to `parameters`."""
    match filter_:
        case And(children):
            return _joined("AND", [compile_where(child, parameters) for child in children], empty="1")
        case Or(children):
            return _any_of(children, parameters)
        case Not(children):
            return _negated(_any_of(children, parameters))
        case Condition():
            return _condition(filter_, parameters)
        case AnyText():
            return _by_python(filter_, parameters)
        case Partition(index, count):
            part = f"kennel_part(payload ->> '$.document_id', {parameters.bind(count)})"
            return f"{part} = {parameters.bind(index)}"


def json_path(parts: Sequence[str]) -> str:
    r"""The path as SQLite writes it: ("a", 'say "x"') -> $."a"."say \"x\""."""
    return "$" + "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def crosses_list(parts: Sequence[str], parameters: Parameters) -> str:
    """SQL: some proper prefix of the path (of several parts) is a list."""
    prefixes = [parameters.bind(json_path(parts[:length])) for length in range(1, len(parts))]
    return _joined("OR", [f"json_type(payload, {prefix}) = 'array'" for prefix in prefixes], empty="0")


def _any_of(children: Sequence[Filter], parameters: Parameters) -> str:
    """Some child holds. What is wanted of one field becomes one `in`: one lookup in each row, not many."""
    wanted: dict[tuple[str, bool], list[Any]] = {}
    others: list[Filter] = []
    for child in children:
        if isinstance(child, Condition) and child.operator in ("eq", "in"):
            values = child.value if child.operator == "in" else [child.value]
            wanted.setdefault((child.path, child.case_sensitive), []).extend(values)
        else:
            others.append(child)
    fields = [
        Condition(path, "eq", values[0], exact) if len(values) == 1 else Condition(path, "in", values, exact)
        for (path, exact), values in wanted.items()
    ]
    return _joined("OR", [compile_where(child, parameters) for child in (*fields, *others)], empty="0")


def _negated(condition: str) -> str:
    return f"(CASE WHEN {condition} THEN 0 ELSE 1 END)"  # NOT would leave null null


def _joined(operator: str, conditions: list[str], *, empty: str) -> str:
    """The conditions as a balanced tree: SQLite limits the depth of an expression, not its width."""
    if len(conditions) <= 1:
        return conditions[0] if conditions else empty
    middle = len(conditions) // 2
    left = _joined(operator, conditions[:middle], empty=empty)
    right = _joined(operator, conditions[middle:], empty=empty)
    return f"({left} {operator} {right})"


def _condition(condition: Condition, parameters: Parameters) -> str:
    name, wanted = condition.operator, condition.value
    if name in OPPOSITES:
        return _negated(_condition(replace(condition, operator=OPPOSITES[name]), parameters))
    if name == "exists":
        present = _present(condition, parameters)
        return present if wanted else _negated(present)
    if name == "eq" and wanted is None:
        return _negated(_present(condition, parameters))
    if name == "in" and None in wanted:
        return f"({_negated(_present(condition, parameters))} OR {_on_value(condition, parameters)})"
    if name in GEOGRAPHIC:
        return _in_area(condition, parameters)
    return _on_value(condition, parameters)


def _present(condition: Condition, parameters: Parameters) -> str:
    """SQL: the field is there and not null."""
    parts = payload_parts(condition.path)
    plain = f"payload ->> {parameters.bind(json_path(parts))} IS NOT NULL"
    if len(parts) == 1:
        return plain
    exists = replace(condition, operator="exists", value=True)
    return (
        f"(CASE WHEN list_bits & {path_mask(parts[:-1])} AND {crosses_list(parts, parameters)}"
        f" THEN {_by_python(exists, parameters)} ELSE {plain} END)"
    )


def _on_value(condition: Condition, parameters: Parameters) -> str:
    """SQL: the value at the path, or one of its elements when it is a list, passes."""
    parts = payload_parts(condition.path)
    path = parameters.bind(json_path(parts))
    plain = _on_scalar(condition, _Place.at(path), parameters)
    rows = _on_rows(condition, parameters)
    careful = f"EXISTS (SELECT 1 FROM json_each(payload, {path}) AS item WHERE {rows})"
    if len(parts) > 1:
        careful = (
            f"CASE WHEN {crosses_list(parts, parameters)} THEN {_by_python(condition, parameters)}"
            f" ELSE {careful} END"
        )
    # `plain` is a WHEN, because there SQLite skips the rest of an AND that is false; in a THEN it does not.
    return f"(CASE WHEN list_bits & {path_mask(parts)} THEN {careful} WHEN {plain} THEN 1 END)"


def _on_rows(condition: Condition, parameters: Parameters) -> str:
    """SQL: a row of json_each passes. Its key is a number in a list, a text in an object, null for a scalar.

    One lookup for all three, where asking for the type first would take two.
    """
    item = _Place("item.type", "item.value")
    if condition.operator == "contains":  # is an element of a list, or a part of a text
        element = _on_scalar(replace(condition, operator="eq"), item, parameters)
        return (
            f"{element} AND typeof(item.key) = 'integer'"
            f" OR item.key IS NULL AND {_on_scalar(condition, item, parameters)}"
        )
    return f"{_on_scalar(condition, item, parameters)} AND typeof(item.key) <> 'text'"


def _in_area(condition: Condition, parameters: Parameters) -> str:
    """SQL: the value at the path is a point of the area, or a list with such a point.

    The numbers of a single point are first compared with the bounds of the area, so that Python sees few
    rows; where the area is a box, the bounds have the last word.
    """
    area, parts = compile_area(condition.operator, condition.value), payload_parts(condition.path)
    path = json_path(parts)
    place = parameters.bind(path)
    in_python = f"kennel_in_area(payload -> {place}, {parameters.bind_object(area)})"
    confirmed = "1" if isinstance(area, Box) else in_python
    as_object = _Coordinates.at(f'{path}."lon"', f'{path}."lat"', parameters)
    as_pair = _Coordinates.at(f"{path}[0]", f"{path}[1]", parameters)
    of_lists = (
        f"WHEN json_array_length(payload, {place}) = 2 AND {as_pair.are_numbers}"
        f" THEN CASE WHEN {as_pair.within(area.bounds, parameters)} THEN {confirmed} END ELSE {in_python}"
    )
    if len(parts) > 1:
        of_lists = (
            f"WHEN {crosses_list(parts, parameters)} THEN {_by_python(condition, parameters)} {of_lists}"
        )
    of_objects = f"{as_object.within(area.bounds, parameters)} AND {as_object.are_numbers}"
    return (
        f"(CASE WHEN list_bits & {path_mask(parts)} THEN CASE {of_lists} END"
        f" WHEN {of_objects} THEN {confirmed} END)"
    )


def _by_python(filter_: Filter, parameters: Parameters) -> str:
    return f"kennel_matches(json(payload), {parameters.bind_object(compile_record_predicate(filter_))})"


def _on_scalar(condition: Condition, place: _Place, parameters: Parameters) -> str:
    """SQL: one value that is no list passes."""
    name, wanted = condition.operator, condition.value
    if name == "eq":
        return _equals(wanted, place, condition.case_sensitive, parameters)
    if name == "in":
        return _member_of(wanted, place, condition.case_sensitive, parameters)
    if name in _COMPARISONS:
        return _compares(_COMPARISONS[name], wanted, place, condition.case_sensitive, parameters)
    if not isinstance(wanted, str):  # contains with a number or a boolean: only ever an element of a list
        return "0"
    if name in _BY_FUNCTION:
        test = parameters.bind_object(
            compile_text_test(name, wanted, case_sensitive=condition.case_sensitive)
        )
        return f"(kennel_text_test({place.text}, {test}) AND {place.type} = 'text')"
    return _holds_part(condition, place, parameters)


def _equals(wanted: Any, place: _Place, exact: bool, parameters: Parameters) -> str:
    if isinstance(wanted, bool):
        return f"{place.type} = '{'true' if wanted else 'false'}'"
    if is_number(wanted):
        return _compares("=", wanted, place, exact, parameters)
    text = comparable(wanted, case_sensitive=exact)
    return _equals_text(f"{place.compared(exact)} = {parameters.bind(text)}", [text], place)


def _equals_text(test: str, texts: Sequence[str], place: _Place) -> str:
    """`->>` gives lists and objects as JSON: only a text that could be such asks for the type as well."""
    if any(text[:1] in ("[", "{", "") for text in texts):
        return f"({test} AND {place.type} = 'text')"
    return test


def _compares(sign: str, wanted: Any, place: _Place, exact: bool, parameters: Parameters) -> str:
    if is_number(wanted):
        limit = parameters.bind(number(wanted))
        return f"({place.value} {sign} {limit} AND {place.is_number})"
    text = parameters.bind(comparable(wanted, case_sensitive=exact))
    return f"({place.compared(exact)} {sign} {text} AND {place.type} = 'text')"


def _member_of(wanted: list[Any], place: _Place, exact: bool, parameters: Parameters) -> str:
    texts = [comparable(value, case_sensitive=exact) for value in wanted if isinstance(value, str)]
    numbers = [number(value) for value in wanted if is_number(value)]
    booleans = {value for value in wanted if isinstance(value, bool)}
    tests = [_equals(value, place, exact, parameters) for value in sorted(booleans)]
    if numbers:
        rows = f"(SELECT value FROM json_each({parameters.bind_json(numbers)}))"
        tests.append(f"({place.value} IN {rows} AND {place.is_number})")
    if texts:
        rows = f"(SELECT value FROM json_each({parameters.bind_json(texts)}))"
        tests.append(_equals_text(f"{place.compared(exact)} IN {rows}", texts, place))
    return _joined("OR", tests, empty="0")


def _holds_part(condition: Condition, place: _Place, parameters: Parameters) -> str:
    """contains, text, starts_with, ends_with on UTF-8 bytes: SQLite's text functions stop at a NUL."""
    exact = condition.case_sensitive and condition.operator != "text"
    part = comparable(condition.value, case_sensitive=exact).encode()
    if not part:
        return f"{place.type} = 'text'"
    value, wanted = f"CAST({place.compared(exact)} AS BLOB)", parameters.bind(part)
    if condition.operator == "starts_with":
        test = f"substr({value}, 1, {len(part)}) = {wanted}"
    elif condition.operator == "ends_with":
        test = f"substr({value}, -{len(part)}) = {wanted}"
    else:
        test = f"instr({value}, {wanted}) > 0"
    return f"({test} AND {place.type} = 'text')"
