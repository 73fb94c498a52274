"""Inputs of an execution: an input schema is checked once and compiled into plain functions.

No JSON Schema library here: submit calls this thousands of times a second, and the schema language is small
(a type, required, default, enum, items, properties).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from shared.errors import FieldError, raise_invalid

_DEPTH_MAX = 20
_ERRORS_MAX = 50
_SHOWN_CHARACTERS = 80

Loc = tuple[str | int, ...]
# Appends an error for each thing that is wrong; returns the value with defaults filled in.
Check = Callable[[Any, Loc, list[FieldError]], Any]
InputValidator = Callable[[Mapping[str, Any]], dict[str, Any]]


def compile_inputs(schema: Mapping[str, Any]) -> InputValidator:
    """A function that returns inputs with defaults filled in; keys that the schema does not name are kept.

    It raises InvalidInput with one entry per failing field, its place starting with "inputs".
    """
    fields = _compile_fields(schema)

    def validate(inputs: Mapping[str, Any]) -> dict[str, Any]:
        errors: list[FieldError] = []
        values = fields(inputs, ("inputs",), errors)
        raise_invalid(errors)
        return dict(values)

    return validate


def validate_input_schema(schema: Any, loc: Sequence[str | int] = ("input_schema",)) -> None:
    """Check a schema when it is stored: known types, defaults and enum values that fit them.

    Raises:
        InvalidInput: one entry per failing place under `loc`.
    """
    errors: list[FieldError] = []
    _check_fields(schema, tuple(loc), errors)
    raise_invalid(errors)


def refuse_breaking(
    old: Mapping[str, Any], new: Mapping[str, Any], loc: Sequence[str | int] = ("input_schema",)
) -> None:
    """Check that every caller of the old schema still fits the new one.

    Raises:
        InvalidInput: the new schema is malformed, lacks an input, changes a type, allows fewer values or
            requires what was not required.
    """
    validate_input_schema(new, loc)
    errors: list[FieldError] = []
    for name, field in new.items():
        if reason := _breaks(old.get(name), field):
            errors.append({"loc": [*loc, name], "msg": reason, "type": "breaking_change"})
    for name in old:
        if name not in new:
            reason = "callers may send this input; keep it, or clone the retriever"
            errors.append({"loc": [*loc, name], "msg": reason, "type": "breaking_change"})
    raise_invalid(errors)


def _breaks(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str | None:
    """Why a caller of the old field would not fit the new one."""
    if new.get("required") and "default" not in new and not (old or {}).get("required"):
        return "cannot be required now, for callers do not send it; give it a default, or clone the retriever"
    if old is None:
        return None
    if new["type"] != old["type"]:
        return f"was {old['type']} and cannot become {new['type']}; clone the retriever"
    return _breaks_enum(old.get("enum"), new.get("enum"))


def _breaks_enum(old: list[Any] | None, new: list[Any] | None) -> str | None:
    if new is None or (old is not None and all(value in new for value in old)):
        return None
    return "values that were allowed must stay allowed; clone the retriever"


def inputs_hash(inputs: Mapping[str, Any]) -> str:
    """SHA-1 (hex) of the canonical JSON of inputs after defaults: sorted keys, no spaces."""
    return hashlib.sha1(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()


# --- values ----------------------------------------------------------------------------------------


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and _parses(date.fromisoformat, value)


def _is_datetime(value: Any) -> bool:
    return isinstance(value, str) and _parses(datetime.fromisoformat, value)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _is_reference(value: Any) -> bool:
    keys = ("collection_id", "document_id")
    return isinstance(value, Mapping) and all(isinstance(value.get(key), str) and value[key] for key in keys)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


# Type name -> what it accepts, in code and in words. A file other than text is its URL or base64.
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "string": (_is_text, "a string"),
    "text": (_is_text, "a string"),
    "number": (_is_number, "a number"),
    "float": (_is_number, "a number"),
    "integer": (_is_integer, "an integer"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "object": (lambda value: isinstance(value, Mapping), "an object"),
    "array": (lambda value: isinstance(value, list), "an array"),
    "date": (_is_date, "a date as in 2026-01-31"),
    "datetime": (_is_datetime, "a date and time as in 2026-01-31T09:30:00Z"),
    "document_reference": (_is_reference, "an object with collection_id and document_id"),
    "image": (_is_text, "a string (URL or base64)"),
    "audio": (_is_text, "a string (URL or base64)"),
    "video": (_is_text, "a string (URL or base64)"),
    "pdf": (_is_text, "a string (URL or base64)"),
    "excel": (_is_text, "a string (URL or base64)"),
}


def _shown(value: Any) -> str:
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _error(errors: list[FieldError], loc: Loc, msg: str, type_: str) -> None:
    if len(errors) < _ERRORS_MAX:
        errors.append({"loc": list(loc), "msg": msg, "type": type_})


# --- compiling -------------------------------------------------------------------------------------


def _compile_fields(fields: Mapping[str, Any]) -> Check:
    """The check of an object's named fields: required ones, defaults, and each value.

    Null for a field that is not required means that it was not given.
    """
    checks = {name: _compile_value(field) for name, field in fields.items()}
    defaults = {name: field["default"] for name, field in fields.items() if field.get("default") is not None}
    optional = {name for name, field in fields.items() if not field.get("required")}

    def check(value: Any, loc: Loc, errors: list[FieldError]) -> Any:
        values = dict(value)
        for name, check_value in checks.items():
            given = values.get(name)
            if given is not None or (name in values and name not in optional):
                values[name] = check_value(given, (*loc, name), errors)
            elif name in defaults:
                values[name] = defaults[name]
            elif name not in optional:
                _error(errors, (*loc, name), "this input is required", "missing")
        return values

    return check


def _compile_value(field: Mapping[str, Any]) -> Check:
    """The check of one value: its type, its enum, then what is inside it."""
    accepts, words = _TYPES[field["type"]]
    allowed = field.get("enum")
    inner = _compile_inner(field)

    def check(value: Any, loc: Loc, errors: list[FieldError]) -> Any:
        if not accepts(value):
            _error(errors, loc, f"{_shown(value)} is not {words}", "type_error")
        elif allowed is not None and not any(_same(value, item) for item in allowed):
            _error(errors, loc, f"{_shown(value)} is not one of {_shown(allowed)}", "enum")
        elif inner is not None:
            return inner(value, loc, errors)
        return value

    return check


def _compile_inner(field: Mapping[str, Any]) -> Check | None:
    if field["type"] == "array" and field.get("items"):
        check_item = _compile_value(field["items"])
        return lambda value, loc, errors: [check_item(v, (*loc, i), errors) for i, v in enumerate(value)]
    if field["type"] == "object" and field.get("properties"):
        return _compile_fields(field["properties"])
    return None


# --- checking a schema -----------------------------------------------------------------------------


def _check_fields(fields: Any, loc: Loc, errors: list[FieldError]) -> None:
    if not isinstance(fields, Mapping):
        return _error(errors, loc, "an object of fields is expected: {name: {type, …}}", "type_error")
    for name, field in fields.items():
        _check_field(field, (*loc, name), errors)
    return None


def _check_field(field: Any, loc: Loc, errors: list[FieldError]) -> None:
    if len(loc) > _DEPTH_MAX:
        return _error(errors, loc, f"nested deeper than {_DEPTH_MAX} levels", "value_error")
    if not isinstance(field, Mapping) or field.get("type") not in _TYPES:
        given = _shown(field.get("type") if isinstance(field, Mapping) else field)
        return _error(errors, (*loc, "type"), f"{given} is not a type; known: {', '.join(_TYPES)}", "enum")
    before = len(errors)
    if not isinstance(field.get("required", False), bool):
        _error(errors, (*loc, "required"), "true or false is expected", "type_error")
    if field.get("enum") is not None and not (isinstance(field["enum"], list) and field["enum"]):
        _error(errors, (*loc, "enum"), "a list with at least one value is expected", "type_error")
    if field.get("items"):
        _check_field(field["items"], (*loc, "items"), errors)
    if field.get("properties"):
        _check_fields(field["properties"], (*loc, "properties"), errors)
    if len(errors) == before:
        _check_samples(field, loc, errors)
    return None


def _check_samples(field: Mapping[str, Any], loc: Loc, errors: list[FieldError]) -> None:
    """The default and each enum value must themselves be acceptable."""
    check_type = _compile_value({**field, "enum": None})
    for index, value in enumerate(field.get("enum") or ()):
        check_type(value, (*loc, "enum", index), errors)
    if field.get("default") is not None:
        _compile_value(field)(field["default"], (*loc, "default"), errors)
