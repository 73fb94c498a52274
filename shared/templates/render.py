"""Rendering of whole parameter trees and filter trees."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from jinja2 import Undefined

from shared.errors import InvalidInput, dotted
from shared.templates.limits import Meter
from shared.templates.program import has_template, load
from shared.templates.scope import NAMESPACES, Scope

_DEPTH_MAX = 64
_ABSENT: Final = object()
_GROUPS = ("AND", "OR", "NOT")

Loc = tuple[str | int, ...]


def render(value: Any, scope: Scope, *, loc: Sequence[str | int] = (), defer: Collection[str] = ()) -> Any:
    """Render every template in a tree of dicts, lists and texts; the tree itself is not changed.

    A text that is exactly one expression becomes its value with its type; where that is absent (an input
    that was not given), its key or list element is left out, so that a parameter falls back to its default.

    Args:
        defer: namespaces to leave for later; a text that uses one of them stays as it is.

    Returns:
        The rendered tree; None when `value` itself is one absent expression.

    Raises:
        InvalidInput: at the place in the tree whose template failed.
    """
    rendered = _Renderer(scope, frozenset(defer)).tree(value, tuple(loc))
    return None if rendered is _ABSENT else rendered


def render_filters(
    tree: Any, scope: Scope, *, loc: Sequence[str | int] = ("filters",)
) -> tuple[Any, list[str]]:
    """Render a filter tree and drop each condition whose value is, or prints, something absent or null.

    Returns:
        The rendered tree, where {} (no condition, for the parser) stands in the place of a dropped one, and
        the fields of the dropped conditions, in order.

    Raises:
        InvalidInput: at the place in the tree whose template failed.
    """
    dropped: list[str] = []
    return _Renderer(scope, frozenset()).filters(tree, tuple(loc), dropped), dropped


def references(value: Any) -> set[tuple[str, str]]:
    """Which data a tree uses: (namespace, dotted path) pairs such as ("INPUT", "query") and ("DOC", "").

    An empty path means the namespace as a whole. `{"type": "dynamic", "field": "inputs.x"}` counts too.
    """
    found: set[tuple[str, str]] = set()
    for text, loc in texts(value):
        found |= load(text, loc).references
    found.update(_dynamic_references(value))
    return found


def texts(value: Any, loc: Loc = ()) -> Iterator[tuple[str, Loc]]:
    """Each text of a tree that holds a template, and its place."""
    _check_depth(loc)
    if isinstance(value, str) and has_template(value):
        yield value, loc
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*loc, index))


def _check_depth(loc: Loc) -> None:
    if len(loc) > _DEPTH_MAX:
        raise InvalidInput.at(loc[:3], f"nested deeper than {_DEPTH_MAX} levels")


def _dynamic_references(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if value.get("type") == "dynamic" and isinstance(value.get("field"), str):
            namespace, _, path = value["field"].partition(".")
            if namespace.upper() in NAMESPACES:
                yield NAMESPACES[namespace.upper()], path
        for item in value.values():
            yield from _dynamic_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _dynamic_references(item)


class _Renderer:
    """One rendering: a scope, and one meter for all templates of the tree together."""

    def __init__(self, scope: Scope, defer: frozenset[str]) -> None:
        self._scope = scope
        self._defer = defer
        self._meter = Meter()

    def tree(self, value: Any, loc: Loc) -> Any:
        _check_depth(loc)
        if isinstance(value, str):
            return self._text(value, loc) if has_template(value) else value
        if isinstance(value, Mapping):
            entries = ((key, self.tree(item, (*loc, key))) for key, item in value.items())
            return {key: item for key, item in entries if item is not _ABSENT}
        if isinstance(value, list):
            items = (self.tree(item, (*loc, index)) for index, item in enumerate(value))
            return [item for item in items if item is not _ABSENT]
        return value

    def filters(self, node: Any, loc: Loc, dropped: list[str]) -> Any:
        if not isinstance(node, Mapping) or "field" in node:
            rendered = self._complete(node, loc)
            if rendered is _ABSENT:
                dropped.append(str(node["field"]) if isinstance(node, Mapping) else dotted(loc))
            return {} if rendered is _ABSENT else rendered
        result: dict[str, Any] = {}
        for key, value in node.items():
            at = (*loc, key)
            if key in _GROUPS and isinstance(value, list):
                result[key] = [self.filters(child, (*at, i), dropped) for i, child in enumerate(value)]
            elif (rendered := self._complete(value, at)) is _ABSENT:
                dropped.append(key)
            else:
                result[key] = rendered
        return result

    def _complete(self, value: Any, loc: Loc) -> Any:
        """The rendered value; _ABSENT when anything in it is absent or null."""
        self._meter.met_absent = False
        rendered = self.tree(value, loc)
        return _ABSENT if self._meter.met_absent else rendered

    def _text(self, text: str, loc: Loc) -> Any:
        program = load(text, loc)
        if self._defer & program.names:
            return text
        value = program.run(self._scope, self._meter, loc)
        if value is None or isinstance(value, Undefined):
            self._meter.met_absent = True
        return _ABSENT if isinstance(value, Undefined) else value
