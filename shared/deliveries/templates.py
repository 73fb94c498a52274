"""Templates of a channel: what a receiver is sent in place of the event itself.

They see the event's payload as bare names (`{{ status }}`). docs/templates.md has their language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.errors import InvalidInput
from shared.templates import NAMESPACES, Scope, check, has_template, render
from shared.templates.render import texts

# What every event of an execution has; shared/lua/deliveries.lua writes them.
NAMES = (
    *("event_id", "event_type", "timestamp", "namespace_id", "resource_type", "resource_id", "execution_id"),
    *("status", "error", "created_at", "completed_at", "duration_ms", "stages_completed"),
)
_NODES_MAX = 1_000
_BLOCKS_MAX = 50  # of a message (docs.slack.dev, Block Kit)


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
    """The template filled in; a text that is one whole expression keeps the type of its value.

    Raises:
        InvalidInput: it cannot be, with this payload.
    """
    return render(template, Scope(names={**dict.fromkeys(NAMES), **payload}), loc=("template",))


def check_blocks(template: str, loc: Sequence[str | int]) -> None:
    """Check a list of Slack blocks, as JSON, whose texts are templates.

    Raises:
        InvalidInput: it is no such list, or a template in it is broken.
    """
    try:
        blocks = orjson.loads(template)
    except orjson.JSONDecodeError as error:
        raise InvalidInput.at(loc, f"is not JSON ({error}); send a list of Slack blocks") from error
    if not (isinstance(blocks, list) and blocks and all(isinstance(block, dict) for block in blocks)):
        raise InvalidInput.at(loc, "is no list of Slack blocks, which are objects; send one like [{…}]")
    if len(blocks) > _BLOCKS_MAX:
        raise InvalidInput.at(loc, f"holds {len(blocks)} blocks; Slack takes at most {_BLOCKS_MAX}")
    check_template(blocks, loc)
    for _ in texts(blocks, tuple(loc)):
        pass  # raises where it is nested too deep


def blocks_of(template: str, payload: Mapping[str, Any]) -> list[Any]:
    """The blocks filled in. Slack takes nothing but text where people read, so every value becomes text.

    Raises:
        InvalidInput: they cannot be, with this payload.
    """
    blocks: list[Any] = _with_texts(orjson.loads(template), payload)
    return blocks


def _with_texts(node: Any, payload: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _with_texts(child, payload) for key, child in node.items()}
    if isinstance(node, list):
        return [_with_texts(child, payload) for child in node]
    if isinstance(node, str) and has_template(node):
        value = rendered(node, payload)
        return "" if value is None else str(value)
    return node
