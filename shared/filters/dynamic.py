"""Dynamic values of a filter tree, {"type": "dynamic", "field": "inputs.user_id"}, before parsing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import InvalidInput
from shared.filters.parse import MAX_DEPTH
from shared.filters.paths import MISSING, resolve
from shared.filters.unrendered import is_dynamic

_PREFIXES = ("inputs.", "input.", "INPUTS.", "INPUT.")


def has_dynamic(parameters: bytes) -> bool:
    """Whether the JSON may hold a dynamic value; sometimes true without one, never false with one."""
    return b'"dynamic"' in parameters


def substitute_dynamic(tree: Any, inputs: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """Put the inputs in the place of dynamic values.

    Returns:
        A new tree, and the fields of the conditions dropped because their input was not given (or null);
        a group that loses all its conditions sets none (parse.py).

    Raises:
        InvalidInput: a dynamic value names no input.
    """
    dropped: list[str] = []
    return _substituted(tree, inputs, dropped, depth=0), dropped


def _substituted(node: Any, inputs: Mapping[str, Any], dropped: list[str], depth: int) -> Any:
    if not isinstance(node, Mapping) or depth > MAX_DEPTH:
        return node  # the parser refuses it with the right place
    if "field" in node:
        value = _value(node.get("value"), inputs)
        if value is MISSING:
            dropped.append(str(node["field"]))
            return {}
        return {**node, "value": value} if "value" in node else dict(node)
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("AND", "OR", "NOT") and isinstance(value, list):
            result[key] = [_substituted(child, inputs, dropped, depth + 1) for child in value]
            continue
        given = _value(value, inputs)
        if given is MISSING:
            dropped.append(str(key))
        else:
            result[key] = given
    return result


def _value(value: Any, inputs: Mapping[str, Any], depth: int = 0) -> Any:
    """The value with inputs in place, at any depth; MISSING when one was not given."""
    if is_dynamic(value):
        return _input(value, inputs)
    if not isinstance(value, Mapping | list) or depth > MAX_DEPTH:
        return value
    items = value.values() if isinstance(value, Mapping) else value
    given = [_value(item, inputs, depth + 1) for item in items]
    if any(item is MISSING for item in given):
        return MISSING
    return dict(zip(value, given, strict=True)) if isinstance(value, Mapping) else given


def _input(dynamic: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    name = dynamic.get("field")
    prefix = next((p for p in _PREFIXES if isinstance(name, str) and name.startswith(p)), None)
    if not isinstance(name, str) or prefix is None:
        raise InvalidInput.at(
            ("filters",), f'a dynamic value has "field": "inputs.<name>", not {name!r}', value=dict(dynamic)
        )
    value = resolve(name.removeprefix(prefix), {}, inputs)
    return MISSING if value is None else value
