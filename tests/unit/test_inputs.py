"""Inputs against an input schema: what is accepted, filled in, and refused with which place."""

import hashlib
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.inputs import compile_inputs, inputs_hash, validate_input_schema

SCHEMA: dict[str, Any] = {
    "query": {"type": "text", "required": True},
    "top_k": {"type": "integer", "default": 10, "enum": [5, 10]},
    "filters": {
        "type": "object",
        "properties": {
            "year": {"type": "integer", "required": True},
            "langs": {"type": "array", "items": {"type": "string", "enum": ["en", "de"]}},
            "exact": {"type": "boolean", "default": False},
        },
    },
}


def places(error: InvalidInput) -> list[list[str | int]]:
    return [entry["loc"] for entry in error.errors]


def test_each_failing_field_is_named() -> None:
    inputs = {"top_k": 7, "filters": {"langs": ["en", 3, "fr"], "exact": "yes"}}
    with pytest.raises(InvalidInput) as caught:
        compile_inputs(SCHEMA)(inputs)
    assert places(caught.value) == [
        ["inputs", "query"],
        ["inputs", "top_k"],
        ["inputs", "filters", "year"],
        ["inputs", "filters", "langs", 1],
        ["inputs", "filters", "langs", 2],
        ["inputs", "filters", "exact"],
    ]
    assert caught.value.message == "inputs.query: this input is required (and 5 more)"
    assert caught.value.errors[1]["msg"] == "7 is not one of [5,10]"


def test_defaults_fill_what_is_absent_or_null_and_other_keys_are_kept() -> None:
    inputs = {"query": "q", "top_k": None, "filters": {"year": 2024}, "extra": {"kept": True}}
    assert compile_inputs(SCHEMA)(inputs) == {
        "query": "q",
        "top_k": 10,
        "filters": {"year": 2024, "exact": False},
        "extra": {"kept": True},
    }
    assert inputs["top_k"] is None
    assert compile_inputs(SCHEMA)({"query": "q", "filters": None})["filters"] is None


def test_an_empty_schema_accepts_anything() -> None:
    assert compile_inputs({})({"a": [1]}) == {"a": [1]}


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("text", ["", "a"], [1, None, ["a"]]),
        ("string", ["a"], [True]),
        ("number", [1, 1.5], ["1", True, None]),
        ("float", [1, 1.5], ["1.5", False]),
        ("integer", [1, -1], [1.0, True, "1"]),
        ("boolean", [True, False], [0, "true", None]),
        ("object", [{}], [[], "a"]),
        ("array", [[], [1, "a"]], [{}, "a"]),
        ("date", ["2026-01-31"], ["2026-02-30", "yesterday", 20260131]),
        ("datetime", ["2026-01-31T09:30:00Z", "2026-01-31T09:30:00+02:00"], ["2026-01-31T25:00", 1]),
        (
            "document_reference",
            [{"collection_id": "c", "document_id": "d"}],
            [{"collection_id": "c"}, {"collection_id": "", "document_id": "d"}, "d", None],
        ),
        ("image", ["https://example.org/a.png"], [1]),
        ("pdf", ["JVBERi0="], [None]),
    ],
)
def test_types_are_strict(type_: str, good: list[Any], bad: list[Any]) -> None:
    validate = compile_inputs({"x": {"type": type_, "required": True}})
    for value in good:
        assert validate({"x": value}) == {"x": value}
    for value in bad:
        with pytest.raises(InvalidInput) as caught:
            validate({"x": value})
        assert places(caught.value) == [["inputs", "x"]]


def test_true_is_not_one_in_an_enum() -> None:
    validate = compile_inputs({"x": {"type": "array", "items": {"type": "boolean", "enum": [True]}}})
    assert validate({"x": [True]}) == {"x": [True]}
    with pytest.raises(InvalidInput, match="false is not one of"):
        validate({"x": [False]})


def test_errors_are_bounded() -> None:
    validate = compile_inputs({"x": {"type": "array", "items": {"type": "integer"}}})
    with pytest.raises(InvalidInput) as caught:
        validate({"x": ["long" * 1000] * 1000})
    assert len(caught.value.errors) == 50
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("schema", "place", "words"),
    [
        ([], "input_schema", "an object of fields"),
        ({"q": {"type": "vector"}}, "input_schema.q.type", "known: string, text"),
        ({"q": {}}, "input_schema.q.type", "null is not a type"),
        ({"q": "text"}, "input_schema.q.type", '"text" is not a type'),
        ({"q": {"type": "text", "required": "yes"}}, "input_schema.q.required", "true or false"),
        ({"q": {"type": "text", "enum": []}}, "input_schema.q.enum", "at least one value"),
        ({"q": {"type": "integer", "default": "1"}}, "input_schema.q.default", "not an integer"),
        ({"q": {"type": "integer", "enum": [1], "default": 2}}, "input_schema.q.default", "not one of"),
        ({"q": {"type": "integer", "enum": [1, "b"]}}, "input_schema.q.enum[1]", "not an integer"),
        ({"q": {"type": "array", "items": {"type": "x"}}}, "input_schema.q.items.type", "not a type"),
        ({"q": {"type": "object", "properties": {"p": 1}}}, "input_schema.q.properties.p.type", "not a type"),
    ],
)
def test_a_bad_schema_is_refused_at_its_place(schema: Any, place: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_input_schema(schema)
    assert caught.value.message.startswith(f"{place}: ")
    assert words in caught.value.message


def test_a_schema_that_is_too_deep_is_refused() -> None:
    field: dict[str, Any] = {"type": "text"}
    for _ in range(500):
        field = {"type": "array", "items": field}
    with pytest.raises(InvalidInput, match="nested deeper than 20 levels"):
        validate_input_schema({"q": field})


def test_a_good_schema_passes_with_keys_of_its_own() -> None:
    validate_input_schema({**SCHEMA, "q": {"type": "video", "label": "a clip", "examples": ["u"]}})


def test_the_hash_is_of_canonical_json() -> None:
    expected = hashlib.sha1(b'{"a":[1,2.5],"b":{"c":null,"d":"\xc3\xa9"}}').hexdigest()
    assert inputs_hash({"b": {"d": "é", "c": None}, "a": [1, 2.5]}) == expected
    assert inputs_hash({"a": 1}) != inputs_hash({"a": 1.0})
