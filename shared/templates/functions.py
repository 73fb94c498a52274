"""The functions, filters and tests a template may use: these and no others.

Each is a pure function of JSON-like values whose work and result are in proportion to its arguments;
environment.py charges for both. Where Jinja's own filter could grow beyond that, this file has its own.
"""

from __future__ import annotations

import builtins
import math
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from jinja2 import ChainableUndefined, Undefined
from jinja2 import filters as jinja_filters

from shared import clock
from shared.templates.limits import INTEGER_MAX, ITEMS_MAX, VALUE_MAX_BYTES, Refused

_SLUG_MAX_CHARACTERS = 10_000
_PRECISION_MAX = 15  # decimal digits a float holds
_FALSE_WORDS = frozenset(("", "false", "0", "no", "off", "none", "null"))
_MS = {"weeks": 604_800_000, "days": 86_400_000, "hours": 3_600_000, "minutes": 60_000, "seconds": 1_000}


def number(value: Any) -> int | float:
    """`value` if it is a finite number within 64 bits, else Refused."""
    if isinstance(value, int) and -INTEGER_MAX - 1 <= value <= INTEGER_MAX:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int | float | complex):
        raise Refused("a number is out of range (integers have 64 bits, floats are finite)")
    raise TypeError(f"a number was expected, not {type(value).__name__}")


def text(value: Any) -> str:
    """`value` as a template prints it: nothing for absent and null."""
    if value is None or isinstance(value, Undefined):
        return ""
    return value if isinstance(value, str) else str(value)


# --- functions -------------------------------------------------------------------------------------


def utc_now() -> str:
    return clock.utc_now_iso()


def time_ago(**units: int | float) -> str:
    """The time so long ago, ISO 8601 in UTC: time_ago(minutes=5), time_ago(days=7, hours=12)."""
    unknown = units.keys() - _MS
    if unknown or not units:
        raise Refused(f"time_ago takes {', '.join(_MS)}, e.g. time_ago(minutes=5)")
    ago_ms = sum(_MS[unit] * number(count) for unit, count in units.items())
    if not 0 <= ago_ms <= clock.now_ms():
        raise Refused("time_ago reaches from 1970 to now")
    return clock.iso(clock.now_ms() - int(ago_ms))


def round_(value: Any, precision: int = 0, method: str = "common") -> int | float:
    """Rounded to `precision` decimals (an int when 0). `method`: common, ceil or floor."""
    if not -_PRECISION_MAX <= precision <= _PRECISION_MAX:
        raise Refused(f"round takes a precision of -{_PRECISION_MAX} to {_PRECISION_MAX}")
    rounded: int | float
    if method == "common":
        rounded = builtins.round(number(value), precision)
    elif method in ("ceil", "floor"):
        cut = math.ceil if method == "ceil" else math.floor
        rounded = cut(number(value) * 10.0**precision) / 10.0**precision
    else:
        raise Refused("round takes the methods common, ceil and floor")
    return int(rounded) if precision <= 0 else rounded


def range_(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > ITEMS_MAX:
        raise Refused(f"range gives at most {ITEMS_MAX:,} numbers")
    return list(numbers)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": lambda value: abs(number(value)),
    "ceil": lambda value: math.ceil(number(value)),
    "floor": lambda value: math.floor(number(value)),
    "max": max,
    "min": min,
    "range": range_,
    "round": round_,
    "time_ago": time_ago,
    "utc_now": utc_now,
}


# --- filters ---------------------------------------------------------------------------------------


def to_json(value: Any, indent: int | None = None) -> str:
    option = orjson.OPT_INDENT_2 if indent else 0
    return orjson.dumps(value, default=_json_default, option=option | orjson.OPT_NON_STR_KEYS).decode()


def _json_default(value: Any) -> Any:
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def to_bool(value: Any) -> bool:
    """Texts such as "false", "no" and "0" are false."""
    return value.strip().lower() not in _FALSE_WORDS if isinstance(value, str) else bool(value)


def to_int(value: Any, default: int = 0) -> int | float:
    try:
        return number(int(value))
    except (TypeError, ValueError, OverflowError):
        return number(default)


def to_float(value: Any, default: float = 0.0) -> int | float:
    try:
        return number(float(value))
    except (TypeError, ValueError, OverflowError):
        return number(default)


def slugify(value: Any) -> str:
    """Lower-case words joined by hyphens, accents removed: "Où est-il ?" -> "ou-est-il"."""
    source = text(value)
    if len(source) > _SLUG_MAX_CHARACTERS:
        raise Refused(f"slugify takes at most {_SLUG_MAX_CHARACTERS:,} characters")
    letters = "".join(c for c in unicodedata.normalize("NFKD", source) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "-", letters.lower()).strip("-")


def join(value: Any, separator: str = "", attribute: str | None = None) -> str:
    items = as_list(value)
    if attribute is not None:
        items = [item.get(attribute) if isinstance(item, Mapping) else None for item in items]
    if len(separator) * len(items) > VALUE_MAX_BYTES:
        raise Refused(f"it makes a text of more than {VALUE_MAX_BYTES:,} bytes")
    return separator.join(map(text, items))


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    source = text(value)
    found = source.count(old) if count < 0 else min(count, source.count(old))
    if len(source) + found * (len(new) - len(old)) > VALUE_MAX_BYTES:
        raise Refused(f"it makes a text of more than {VALUE_MAX_BYTES:,} bytes")
    return source.replace(old, new, count)


def split(value: Any, separator: str | None = None) -> list[str]:
    parts = text(value).split(separator, ITEMS_MAX)
    if len(parts) > ITEMS_MAX:
        raise Refused(f"split gives at most {ITEMS_MAX:,} parts")
    return parts


def as_list(value: Any) -> list[Any]:
    if isinstance(value, str | list | tuple | Mapping | Undefined):
        return list(value)
    raise TypeError(f"a list was expected, not {type(value).__name__}")


def first(value: Any) -> Any:
    items = as_list(value)[:1]
    return items[0] if items else ChainableUndefined("the list is empty")


def last(value: Any) -> Any:
    return first(as_list(value)[-1:])


def truncate(value: Any, length: int = 255, end: str = "…") -> str:
    """At most `length` characters, cut at a word where there is one, with `end` in place of the rest."""
    source = text(value)
    if len(source) <= length:
        return source
    kept = source[: max(0, length - len(end))]
    kept = kept.rsplit(None, 1)[0] if " " in kept.strip() else kept
    return (kept + end)[: max(0, length)]


def default(value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    return fallback if isinstance(value, Undefined) or (boolean and not value) else value


def total(value: Any, attribute: str | None = None) -> int | float:
    items = [item.get(attribute) for item in as_list(value)] if attribute else as_list(value)
    return number(sum(number(item) for item in items))


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": FUNCTIONS["abs"],
    "bool": to_bool,
    "capitalize": lambda value: text(value).capitalize(),
    "ceil": FUNCTIONS["ceil"],
    "count": len,
    "d": default,
    "default": default,
    "endswith": lambda value, end: text(value).endswith(end),
    "first": first,
    "float": to_float,
    "floor": FUNCTIONS["floor"],
    "get": lambda value, key, fallback=None: (
        value.get(key, fallback) if isinstance(value, Mapping) else fallback
    ),
    "int": to_int,
    "items": lambda value: [list(pair) for pair in value.items()] if isinstance(value, Mapping) else [],
    "join": join,
    "keys": lambda value: list(value) if isinstance(value, Mapping) else [],
    "last": last,
    "length": len,
    "list": as_list,
    "lower": lambda value: text(value).lower(),
    "replace": replace,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else as_list(value)[::-1],
    "round": round_,
    "slugify": slugify,
    "split": split,
    "startswith": lambda value, start: text(value).startswith(start),
    "string": text,
    "sum": total,
    "title": lambda value: text(value).title(),
    "tojson": to_json,
    "trim": lambda value: text(value).strip(),
    "truncate": truncate,
    "upper": lambda value: text(value).upper(),
    "urlencode": lambda value: urllib.parse.quote(text(value), safe=""),
    "values": lambda value: list(value.values()) if isinstance(value, Mapping) else [],
}

# Jinja's own, which use their arguments once per item and need the environment or the context first.
ENVIRONMENT_FILTERS: dict[str, Callable[..., Any]] = {
    "max": jinja_filters.do_max,
    "min": jinja_filters.do_min,
    "sort": jinja_filters.do_sort,
    "unique": jinja_filters.sync_do_unique,
}
CONTEXT_FILTERS: dict[str, Callable[..., Any]] = {
    "map": jinja_filters.sync_do_map,
    "reject": jinja_filters.sync_do_reject,
    "rejectattr": jinja_filters.sync_do_rejectattr,
    "select": jinja_filters.sync_do_select,
    "selectattr": jinja_filters.sync_do_selectattr,
}

# Filters that have an answer for an absent value; all others leave it absent.
ACCEPT_ABSENT = frozenset(("bool", "count", "d", "default", "join", "length", "list", "string", "tojson"))

# What may be written as a method call, and the filter it stands for: INPUT.query.strip().
METHODS = {
    "endswith": "endswith",
    "get": "get",
    "items": "items",
    "keys": "keys",
    "lower": "lower",
    "replace": "replace",
    "split": "split",
    "startswith": "startswith",
    "strip": "trim",
    "title": "title",
    "upper": "upper",
    "values": "values",
}

# Jinja's own tests. odd, even and divisibleby are left out: on a text they would format it with %.
TESTS = (
    "boolean", "defined", "eq", "equalto", "false", "float", "ge", "greaterthan", "gt", "in", "integer",
    "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "sequence", "string",
    "true", "undefined", "upper",
)  # fmt: skip
