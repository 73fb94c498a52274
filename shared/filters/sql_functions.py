"""What SQL cannot say by itself, as functions of a SQLite connection that call the Python evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import apsw
import orjson

from shared.filters.ast import Condition
from shared.filters.evaluate import compile_record_predicate, compile_text_test
from shared.filters.paths import MISSING, resolve
from shared.filters.values import fold


def register_functions(connection: apsw.Connection) -> None:
    """Add the functions that compiled filters and sorts call (listed at the end of this file)."""
    for name, arity, function in _FUNCTIONS:
        connection.create_scalar_function(name, function, arity, deterministic=True)


def _text_test(text: str, test: str) -> bool:
    """A text passes the JSON of [operator, wanted, case_sensitive]."""
    return _cached_text_test(test)(text)


def _matches(payload: str, test: str) -> bool:
    """A stored document passes the JSON of [path, operator, wanted, case_sensitive]."""
    return _cached_predicate(test)(orjson.loads(payload))


def _resolve(payload: str, path: str) -> str | None:
    """The value at a path of a stored document as JSON; null where there is none."""
    value = resolve(path, {}, orjson.loads(payload))
    return None if value is MISSING else orjson.dumps(value).decode()


@lru_cache(maxsize=512)
def _cached_text_test(test: str) -> Callable[[str], bool]:
    operator, wanted, case_sensitive = orjson.loads(test)
    return compile_text_test(operator, wanted, case_sensitive=case_sensitive)


@lru_cache(maxsize=512)
def _cached_predicate(test: str) -> Callable[[Mapping[str, Any]], bool]:
    return compile_record_predicate(Condition(*orjson.loads(test)))


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("kennel_fold", 1, fold),
    ("kennel_text_test", 2, _text_test),
    ("kennel_matches", 2, _matches),
    ("kennel_resolve", 2, _resolve),
)
