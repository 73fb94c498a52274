"""Dotted field paths: how they are written and what they find.

- A part names a key of an object; on a list, a part of digits is an index (`tags.0`).
- Any other part on a list maps over it: `items.price` is the prices of all the objects in `items`, in one
  flat list (elements that are no objects, and objects without a price, leave nothing).
- A path is looked up in the root of the result first (ids, score, attached fields), then in the stored
  document; `payload.title` looks in the stored document only.
- Null counts as missing. Keys that contain a dot cannot be addressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from shared.errors import InvalidInput
from shared.models.document import Document

MAX_PATH_CHARS = 255
MAX_PATH_PARTS = 20
_PAYLOAD = "payload."


class _Missing(Enum):
    MISSING = "missing"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing.MISSING


def validate_path(path: Any, loc: Sequence[str | int] = ("field",)) -> str:
    """Return the path, or say at `loc` why it is not one.

    Raises:
        InvalidInput: not a string of 1 to 255 printable characters, an empty part, or over 20 parts.
    """
    if not isinstance(path, str) or not 1 <= len(path) <= MAX_PATH_CHARS:
        raise InvalidInput.at(
            loc, f"a field path is a string of 1 to {MAX_PATH_CHARS} characters", value=path
        )
    if any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in path):
        raise InvalidInput.at(loc, f"field path {path!r} holds control characters or broken Unicode")
    parts = path.split(".")
    if not all(parts):
        raise InvalidInput.at(loc, f"field path {path!r} has an empty part; write it like metadata.title")
    if len(parts) > MAX_PATH_PARTS:
        raise InvalidInput.at(loc, f"field path {path!r} has {len(parts)} parts, at most {MAX_PATH_PARTS}")
    return path


@lru_cache(maxsize=4096)
def payload_parts(path: str) -> tuple[str, ...]:
    """The keys of a path inside the stored document: "payload.a.b" and "a.b" -> ("a", "b")."""
    return tuple(path.removeprefix(_PAYLOAD).split("."))


def resolve(path: str, root: Mapping[str, Any], payload: Mapping[str, Any]) -> Any:
    """The value at `path`, None where it is null, MISSING where there is none."""
    parts = payload_parts(path)
    if not path.startswith(_PAYLOAD) and root.get(parts[0]) is not None:
        value = _walk(root[parts[0]], parts[1:])
        if value is not MISSING and value is not None:
            return value
    return _walk(payload.get(parts[0], MISSING), parts[1:])


def field_value(document: Document, path: str) -> Any:
    """The document's value at `path`, None where it is null or missing."""
    value = resolve(path, document.root(), document.payload)
    return None if value is MISSING else value


def resolve_each(path: str, root: Mapping[str, Any], payload: Mapping[str, Any]) -> list[Any]:
    """The values at `path` that are there and not null; those of a mapped list one by one, not joined.

    So that a list which is one value, such as the point [lon, lat], stays in one piece.
    """
    parts = payload_parts(path)
    attached = [] if path.startswith(_PAYLOAD) else _each(root.get(parts[0]), parts[1:])
    return attached or _each(payload.get(parts[0]), parts[1:])


def _walk(value: Any, parts: tuple[str, ...]) -> Any:
    value, rest = _descend(value, parts)
    return _joined(_each(value, rest)) if rest else value


def _descend(value: Any, parts: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """The value at `parts`; or the first list on the way that is mapped over, and the parts from there on."""
    for position, part in enumerate(parts):
        if isinstance(value, dict):
            value = value.get(part, MISSING)
        elif isinstance(value, list):
            if not _is_index(part):
                return value, parts[position:]
            index = int(part)
            value = value[index] if index < len(value) else MISSING
        else:
            return MISSING, ()
    return value, ()


def _each(value: Any, parts: tuple[str, ...]) -> list[Any]:
    value, rest = _descend(value, parts)
    if rest:
        return [found for item in value if isinstance(item, dict) for found in _each(item, rest)]
    return [] if value is MISSING or value is None else [value]


def _joined(values: list[Any]) -> Any:
    """The values in one flat list; MISSING when there are none."""
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list):
            flat.extend(value)
        else:
            flat.append(value)
    return flat if values else MISSING


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0")
