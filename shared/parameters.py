"""Stage parameters against their JSON Schema, where a template may stand in for a value.

A text that is exactly one `{{…}}` is accepted in place of any value, since its type is known only when it is
rendered; a text field may hold any template. The worker validates the rendered values strictly.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from shared import templates
from shared.errors import FieldError, InvalidInput
from shared.filters.parse import check_unrendered
from shared.templates.render import texts

# Schema extras that a stage's parameter model may set on a property:
TEMPLATE_NAMES = "x-template-names"  # bare names the stage adds to the templates of this text, e.g. DOCUMENTS
FILTER_TREE = "x-filter"  # true: the value is a filter tree (contract section 4)
SIMPLE_FILTER = "x-filter-simple"  # beside it: the parameters that hold one condition where there is no tree

# Namespaces that no stage can be given yet.
UNSUPPORTED_NAMESPACES = frozenset(("SECRET",))

_ERRORS_MAX = 50
_SHOWN_CHARACTERS = 80
_DESCRIBES_TEXT = frozenset(("const", "enum", "format", "maxLength", "minLength", "pattern"))

Loc = tuple[str | int, ...]
Keyword = Callable[[Any, Any, Any, Mapping[str, Any]], Iterator[ValidationError]]


class ParameterSchema:
    """The compiled schema of one stage's parameters."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
        self._required = frozenset(schema.get("required", ()))
        self._definitions: Mapping[str, Any] = schema.get("$defs", {})
        self._validator = _Validator(schema)

    def check(self, parameters: Mapping[str, Any], loc: Loc) -> tuple[dict[str, Any], list[FieldError]]:
        """Check parameters as they are stored, before rendering.

        Returns:
            The parameters without those that the typed client sends as the text "null", and one error for
            each failing place under `loc`, at most 50.
        """
        given = {name: value for name, value in parameters.items() if not self._is_null_quirk(name, value)}
        errors = [error for name, value in given.items() for error in self._template_errors(name, value, loc)]
        broken = [tuple(error["loc"]) for error in errors]
        failures = (
            error for failure in self._validator.iter_errors(given) for error in _field_errors(failure, loc)
        )
        errors += islice((error for error in failures if tuple(error["loc"]) not in broken), _ERRORS_MAX)
        return given, errors[:_ERRORS_MAX]

    def filter_trees(self, parameters: Mapping[str, Any]) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
        """Place and tree of each filter among checked parameters, also of those in the items of a list."""
        yield from self._filter_trees(self.properties, parameters, ())

    def _filter_trees(
        self, properties: Mapping[str, Mapping[str, Any]], value: Mapping[str, Any], loc: Loc
    ) -> Iterator[tuple[Loc, Mapping[str, Any]]]:
        for name, schema in properties.items():
            given = value.get(name)
            if schema.get(FILTER_TREE) and isinstance(given, Mapping):
                yield (*loc, name), given
            elif isinstance(given, list):
                inner = self._item_properties(schema)
                for index, item in enumerate(given):
                    if inner and isinstance(item, Mapping):
                        yield from self._filter_trees(inner, item, (*loc, name, index))

    def _item_properties(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The properties of the objects in a list; {} where they are no objects of a model."""
        reference = schema.get("items", {}).get("$ref", "").removeprefix("#/$defs/")
        properties: Mapping[str, Any] = self._definitions.get(reference, {}).get("properties", {})
        return properties

    def _is_null_quirk(self, name: str, value: Any) -> bool:
        """The vendor's typed client sends the text "null" for optional parameters that were not set."""
        return value == "null" and name not in self._required and _is_nullable(self.properties.get(name, {}))

    def _template_errors(self, name: str, value: Any, loc: Loc) -> Iterator[FieldError]:
        schema = self.properties.get(name, {})
        if _is_default(value, schema):
            return
        yield from template_errors(value, (*loc, name), names=schema.get(TEMPLATE_NAMES, ()))


def template_errors(value: Any, loc: Loc, names: Collection[str] = ()) -> Iterator[FieldError]:
    """One error for each text of a tree that holds a broken template."""
    try:
        for text, place in texts(value, loc):
            try:
                templates.check(text, loc=place, names=names, refuse=UNSUPPORTED_NAMESPACES)
            except InvalidInput as error:
                yield from error.errors
    except InvalidInput as error:  # nested too deeply to look at
        yield from error.errors


def filter_errors(tree: Any, loc: Loc, *, check_templates: bool = True) -> list[FieldError]:
    """What is wrong with a filter tree before its templates are rendered."""
    if check_templates and (broken := list(template_errors(tree, loc))):
        return broken
    try:
        check_unrendered(tree, loc=loc)
    except InvalidInput as error:
        return error.errors
    return []


def shown(value: Any) -> str:
    """A value for an error message, shortened."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def listed(word: Any, known: Collection[str]) -> str:
    """ "did you mean 'top_k'? Allowed: …", the nearest first."""
    near = difflib.get_close_matches(str(word), known, n=1)
    ordered = [*near, *sorted(name for name in known if name not in near)]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}Allowed: {', '.join(ordered) or 'none'}"


# --- keywords --------------------------------------------------------------------------------------


def _has_template(value: Any) -> bool:
    return isinstance(value, str) and templates.has_template(value)


def _is_default(value: Any, schema: Mapping[str, Any]) -> bool:
    return "default" in schema and orjson.dumps(value) == orjson.dumps(schema["default"])


def _is_nullable(schema: Mapping[str, Any]) -> bool:
    return ("default" in schema and schema["default"] is None) or {"type": "null"} in schema.get("anyOf", ())


def _tolerant(keyword: str, original: Keyword) -> Keyword:
    """The keyword, except where the instance is a template whose value is not known yet."""

    def check(
        validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if _has_template(instance) and (keyword in _DESCRIBES_TEXT or templates.is_expression(instance)):
            return
        yield from original(validator, value, instance, schema) or ()

    return check


def _properties(validator: Any, value: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    """As in JSON Schema, but a property at its default is always accepted."""
    if isinstance(instance, Mapping):
        for name, schema in value.items():
            if name in instance and not _is_default(instance[name], schema):
                yield from validator.descend(instance[name], schema, path=name, schema_path=name)


def _required(_: Any, value: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    """As in JSON Schema, but each error stands at the missing property."""
    if isinstance(instance, Mapping):
        for name in value:
            if name not in instance:
                yield ValidationError("this parameter is required", path=(name,), validator="required")


def _any_of(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """As in JSON Schema, but where only one branch has the instance's type, its errors are reported."""
    mismatches = [_type_mismatch(validator, branch, instance) for branch in value]
    fitting = [branch for branch, expected in zip(value, mismatches, strict=True) if not expected]
    if len(fitting) == 1:
        yield from validator.descend(instance, fitting[0])
    elif fitting:
        yield from Draft202012Validator.VALIDATORS["anyOf"](validator, value, instance, schema)
    else:
        yield ValidationError(
            "", validator="type", validator_value=[name for names in mismatches for name in names]
        )


def _type_mismatch(validator: Any, branch: Mapping[str, Any], instance: Any) -> list[str]:
    """The types that `branch` expects, when the instance has none of them; else nothing."""
    errors = validator.evolve(schema=branch).iter_errors(instance)
    types = [error.validator_value for error in errors if error.validator == "type" and not error.path]
    return [name for each in types for name in ([each] if isinstance(each, str) else each)]


def _one_of(
    validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """As in JSON Schema, but a discriminator picks the branch, so that errors name the real field."""
    discriminator = schema.get("discriminator", {})
    mapping, name = discriminator.get("mapping"), discriminator.get("propertyName")
    if not mapping or not isinstance(instance, Mapping):
        yield from Draft202012Validator.VALIDATORS["oneOf"](validator, value, instance, schema)
        return
    tag = instance.get(name, discriminator.get("default"))
    if isinstance(tag, str) and tag in mapping:
        yield from validator.descend(instance, {"$ref": mapping[tag]})
    else:
        reason = "is missing" if name not in instance else f"cannot be {shown(tag)}"
        plain = "; a template cannot choose it" if _has_template(tag) else ""
        message = f"{name} {reason}{plain}; {listed(tag, mapping)}"
        yield ValidationError(message, path=(name,), validator="discriminator")


def _if(validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    """As in JSON Schema, but absent properties count at their default, and templates decide nothing."""
    if not isinstance(instance, Mapping):
        return
    properties = schema.get("properties", {})
    defaults = {name: field["default"] for name, field in properties.items() if "default" in field}
    deciding = {**defaults, **instance}
    if any(_has_template(deciding.get(name)) for name in value.get("properties", ())):
        return
    branch = "then" if validator.evolve(schema=value).is_valid(deciding) else "else"
    if branch in schema:
        for error in validator.descend(instance, schema[branch], schema_path=branch):
            error.when = ", ".join(
                f"{name} is {shown(deciding.get(name))}" for name in value.get("properties", ())
            )
            yield error


_KEYWORDS = {
    **Draft202012Validator.VALIDATORS,
    "anyOf": _any_of,
    "if": _if,
    "oneOf": _one_of,
    "properties": _properties,
    "required": _required,
}
_Validator = extend(Draft202012Validator, {name: _tolerant(name, check) for name, check in _KEYWORDS.items()})


# --- words -----------------------------------------------------------------------------------------


def _field_errors(error: ValidationError, loc: Loc) -> Iterator[FieldError]:
    """One error of the library as one or more of ours."""
    if error.context:
        error = best_match([error])
    place = (*loc, *error.absolute_path)
    condition = getattr(error, "when", "")
    when = f" when {condition}" if condition else ""
    if error.validator == "additionalProperties":
        allowed = error.schema.get("properties", {})
        for name in (name for name in error.instance if name not in allowed):
            yield _field_error(
                (*place, name), f"unknown parameter; {listed(name, allowed)}{when}", "extra_forbidden"
            )
    else:
        yield _field_error(place, _words(error) + when, str(error.validator))


def _field_error(loc: Loc, msg: str, type_: str) -> FieldError:
    return {"loc": list(loc), "msg": msg, "type": type_}


def _words(error: ValidationError) -> str:
    """What is wrong with which value, and what is allowed."""
    given, limit = shown(error.instance), error.validator_value
    phrases: dict[str, str] = {
        "const": f"{given} is not {shown(limit)}",
        "exclusiveMaximum": f"{given} is not below {limit}",
        "exclusiveMinimum": f"{given} is not above {limit}",
        "maxItems": f"it has {_length(error)} items; at most {limit} are allowed",
        "maxLength": f"it has {_length(error)} characters; at most {limit} are allowed",
        "maximum": f"{given} is above the maximum of {limit}",
        "minItems": f"it has {_length(error)} items; at least {limit} needed",
        "minLength": f"it has {_length(error)} characters; at least {limit} needed",
        "minimum": f"{given} is below the minimum of {limit}",
        "pattern": f"{given} does not match the pattern {limit}",
        "discriminator": error.message,
        "required": error.message,
    }
    if error.validator == "enum":
        allowed = ["null" if item is None else str(item) for item in limit]
        return f"{given} is not allowed; {listed(error.instance, allowed)}"
    if error.validator == "type":
        return _type_words(error.instance, limit)
    return phrases.get(str(error.validator), f"{given} does not fit ({error.validator})")


def _type_words(instance: Any, types: str | list[str]) -> str:
    expected = types if isinstance(types, str) else " or ".join(types)
    if _has_template(instance):
        return f"{shown(instance)} renders to text, but {expected} is expected; write exactly one {{{{…}}}}"
    return f"{shown(instance)} is not of type {expected}"


def _length(error: ValidationError) -> int:
    return len(error.instance) if isinstance(error.instance, str | list) else 0
