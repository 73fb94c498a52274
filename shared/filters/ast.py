"""The filter tree after parsing: what every evaluator and compiler works on.

Parsing (parse.py) has checked the shapes; the meaning of each operator is fixed by evaluate.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

EQUALITY = frozenset({"eq", "ne"})
ORDERING = frozenset({"gt", "gte", "lt", "lte"})
MEMBERSHIP = frozenset({"in", "nin"})
PRESENCE = frozenset({"exists", "is_null"})
TEXTUAL = frozenset({"starts_with", "ends_with", "regex", "text", "phrase", "words"})
GEOGRAPHIC = frozenset({"geo_radius", "geo_bounding_box", "geo_polygon"})
OPERATORS = EQUALITY | ORDERING | MEMBERSHIP | PRESENCE | TEXTUAL | GEOGRAPHIC | {"contains"}


@dataclass(frozen=True, slots=True)
class And:
    """True when every child is true; true without children."""

    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when some child is true; false without children."""

    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when none of the children is true; true without children."""

    children: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of the value at a path. `case_sensitive` matters only where text is compared."""

    path: str
    operator: str
    value: Any
    case_sensitive: bool = True


@dataclass(frozen=True, slots=True)
class AnyText:
    """Some text of the document, or its id, has such a part: `*` and `?` are wildcards, case is ignored."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Partition:
    """The document is in this one of `count` parts, which its id decides: it never moves."""

    index: int
    count: int


# No request can spell the last two: lists make them of their own parameters.
Filter: TypeAlias = And | Or | Not | Condition | AnyText | Partition
