"""Rendering of whole parameter trees and filter trees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from jinja2 import Undefined

from shared.errors import InvalidInput
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


def render_filters(tree: Any, scope: Scope, loc: Sequence[str | int] = ("filters",)) -> tuple[Any, list[str]]:
    """Render a filter tree and drop each condition that is left without its value.

    A condition is dropped when its value is or prints something absent, and when all elements of its list
    are absent.

    Returns:
        The rendered tree ({} when nothing is left) and the field of each dropped condition, in order.

    Raises:
        InvalidInput: at the place in the tree whose template failed.
    """
    renderer = _Renderer(scope, frozenset())
    dropped: list[str] = []

    def rendered(condition: Mapping[str, Any], at: Loc) -> Mapping[str, Any] | None:
        result, incomplete = renderer.condition(condition, at)
        if incomplete:
            dropped.append(str(condition.get("field") or next(iter(condition))))
        return None if incomplete else result

    return walk_conditions(tree, rendered, tuple(loc)) or {}, dropped


def walk_conditions(
    tree: Any, visit: Callable[[Mapping[str, Any], Loc], Mapping[str, Any] | None], loc: Loc = ()
) -> Any:
    """Rebuild a filter tree with `visit` applied to each condition; None from it removes the condition.

    A condition is passed as {"field", "operator", "value"} or, entry by entry, as shorthand {path: value}.
    Groups that become empty are removed. What is not a well-formed tree is kept for the parser to refuse.
    """
    if len(loc) > _DEPTH_MAX:
        raise InvalidInput.at(loc[:3], f"it is nested deeper than {_DEPTH_MAX} levels")
    if not isinstance(tree, Mapping):
        return tree
    if "field" in tree:
        return visit(tree, loc)
    kept: dict[str, Any] = {}
    for key, value in tree.items():
        if key in _GROUPS and isinstance(value, list):
            children = [walk_conditions(child, visit, (*loc, key, i)) for i, child in enumerate(value)]
            children = [child for child in children if child is not None]
            if children or not value:
                kept[key] = children
        elif key in _GROUPS or key == "case_sensitive":
            kept[key] = value
        else:
            kept |= visit({key: value}, loc) or {}
    return kept if kept.keys() - {"case_sensitive"} or not tree.keys() - {"case_sensitive"} else None


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
    if len(loc) > _DEPTH_MAX:
        raise InvalidInput.at(loc[:3], f"it is nested deeper than {_DEPTH_MAX} levels")
    if isinstance(value, str) and has_template(value):
        yield value, loc
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, (*loc, index))


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
        if len(loc) > _DEPTH_MAX:
            raise InvalidInput.at(loc[:3], f"it is nested deeper than {_DEPTH_MAX} levels")
        if isinstance(value, str):
            return self._text(value, loc) if has_template(value) else value
        if isinstance(value, Mapping):
            entries = ((key, self.tree(item, (*loc, key))) for key, item in value.items())
            return {key: item for key, item in entries if item is not _ABSENT}
        if isinstance(value, list):
            items = (self.tree(item, (*loc, index)) for index, item in enumerate(value))
            return [item for item in items if item is not _ABSENT]
        return value

    def condition(self, condition: Mapping[str, Any], loc: Loc) -> tuple[Mapping[str, Any], bool]:
        """The rendered condition, and whether it is left without its value."""
        self._meter.printed_absent = False
        rendered = self.tree(condition, loc)
        incomplete = self._meter.printed_absent or rendered.keys() != condition.keys()
        emptied = any(
            rendered.get(key) == [] != item for key, item in condition.items() if isinstance(item, list)
        )
        return rendered, incomplete or emptied

    def _text(self, text: str, loc: Loc) -> Any:
        program = load(text, loc)
        if self._defer & program.names:
            return text
        value = program.run(self._scope, self._meter, loc)
        return _ABSENT if isinstance(value, Undefined) else value
