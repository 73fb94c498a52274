"""Templates of a channel: what a receiver is sent in place of the event itself.

They see the event's payload as bare names (`{{ status }}`). docs/templates.md has their language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import InvalidInput
from shared.templates import NAMESPACES, Scope, check, has_template, render

# What every event of an execution has; shared/lua/deliveries.lua writes them.
NAMES = (
    *("event_id", "event_type", "timestamp", "namespace_id", "resource_type", "resource_id", "execution_id"),
    *("status", "error", "created_at", "completed_at", "duration_ms", "stages_completed"),
)
_NODES_MAX = 1_000


def check_template(template: Any, loc: Sequence[str | int]) -> None:
    """Check the syntax and names of all texts in a tree.

    Raises:
        InvalidInput: at the place in the tree that is wrong.
    """
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(template, tuple(loc))]
    for _ in range(_NODES_MAX):
        if not waiting:
            return
        node, at = waiting.pop()
        if isinstance(node, str) and has_template(node):
            check(node, loc=at, names=NAMES, refuse=frozenset(NAMESPACES.values()))
        elif isinstance(node, Mapping):
            waiting += [(child, (*at, key)) for key, child in node.items()]
        elif isinstance(node, list):
            waiting += [(child, (*at, index)) for index, child in enumerate(node)]
    raise InvalidInput.at(loc, f"has more than {_NODES_MAX} values; send less")


def rendered(template: Any, payload: Mapping[str, Any]) -> Any:
    """The template filled in.

    Raises:
        InvalidInput: it cannot be, with this payload.
    """
    return render(template, Scope(names={**dict.fromkeys(NAMES), **payload}), loc=("template",))
