"""What SQL cannot say by itself, as functions of a SQLite connection that call the Python evaluator.

Their tests are Python objects bound to the statement: SQL only hands them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import apsw
import orjson

from shared.filters.evaluate import part_of
from shared.filters.geo import Area, touches
from shared.filters.paths import MISSING, resolve
from shared.filters.values import fold


def register_functions(connection: apsw.Connection) -> None:
    """Add the functions that compiled filters and sorts call (listed at the end of this file)."""
    for name, arity, function in _FUNCTIONS:
        connection.create_scalar_function(name, function, arity, deterministic=True)


def _text_test(text: str, test: Callable[[str], bool]) -> bool:
    """A text passes a test of evaluate.compile_text_test."""
    return test(text)


def _matches(payload: str, test: Callable[[Mapping[str, Any]], bool]) -> bool:
    """A stored document passes a test of evaluate.compile_record_predicate."""
    return test(orjson.loads(payload))


def _in_area(value: str | None, area: Area) -> bool:
    """The JSON of a value, or null for a missing one, is a point of the area or a list with such a point."""
    return value is not None and touches(area, orjson.loads(value))


def _resolve(payload: str, path: str) -> str | None:
    """The value at a path of a stored document as JSON; null where there is none."""
    value = resolve(path, {}, orjson.loads(payload))
    return None if value is MISSING else orjson.dumps(value).decode()


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("kennel_fold", 1, fold),
    ("kennel_text_test", 2, _text_test),
    ("kennel_matches", 2, _matches),
    ("kennel_in_area", 2, _in_area),
    ("kennel_resolve", 2, _resolve),
    ("kennel_part", 2, part_of),
)
