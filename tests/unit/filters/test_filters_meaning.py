"""What each operator and path means; the compilers inherit these truths through the property tests."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.filters import (
    MISSING,
    And,
    Condition,
    Not,
    Or,
    SortKey,
    compile_predicate,
    compile_record_predicate,
    resolve,
    sort_documents,
    validate_path,
)
from shared.filters.paths import MAX_PATH_PARTS
from shared.filters.words import stems, words
from shared.models.document import Document

ABSENT: dict[str, Any] = {}

# operator, value, documents that pass, documents that do not (each is the value of field "a")
TRUTHS: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("eq", 1, [1, 1.0, [3, 1]], ["1", True, 2, None, [[1]], {"x": 1}]),
    ("eq", True, [True, [True]], [1, "true", False]),
    ("eq", "x", ["x", ["y", "x"]], ["X", "xx", 1, None]),
    ("eq", None, [None], [0, "", False, [], {}, [None]]),
    ("ne", 1, ["1", None, [2], {}], [1, 1.0, [1]]),
    ("gt", 1, [2, 1.5, [0, 2]], [1, 0, "2", True, None, {}]),
    ("lte", "b", ["a", "b", "B"], ["c", 1, None]),
    ("in", [1, "x", True], [1.0, "x", True, ["x"]], ["1", False, None, []]),
    ("in", [None, 1], [None, 1], [2]),
    ("in", [], [], [None, 1]),
    ("nin", [1], [2, None, "1"], [1, [1]]),
    ("nin", [None], [1], [None]),
    ("contains", "el", ["hello", ["el"]], [["hello"], "hEllo", 1, {"el": 1}]),
    ("contains", 1, [[1, 2], [1.0]], [1, "1", ["1"], [True]]),
    ("starts_with", "ab", ["abc", ["x", "ab"]], ["Abc", "xab", 1]),
    ("ends_with", "bc", ["abc"], ["abC", "bcd"]),
    ("regex", "^a.c$", ["abc", ["x", "a-c"]], ["ABC", "xabc", 1]),
    ("exists", True, [0, "", False, [], {}, [None]], [None]),
    ("exists", False, [None], [0]),
    ("is_null", True, [None], ["null"]),
    ("text", "ELL", ["hello"], ["hero", 1]),
    (
        "phrase",
        "quick brown",
        ["The Quick, brown fox", ["quick brown"]],
        ["quick red brown", "brown quick", "quickbrown"],
    ),
    ("phrase", "!?", [], ["!?", "x"]),
    ("words", "dogs running", ["He runs a dog"], ["a dog", "dogma run"]),
    ("words", "", [], ["", "x"]),
]


@pytest.mark.parametrize(("operator", "value", "passing", "failing"), TRUTHS)
def test_operator(operator: str, value: Any, passing: list[Any], failing: list[Any]) -> None:
    predicate = compile_record_predicate(Condition("a", operator, value))
    assert [predicate({"a": item}) for item in passing] == [True] * len(passing)
    assert [predicate({"a": item}) for item in failing] == [False] * len(failing)


@pytest.mark.parametrize(("operator", "value", "passing", "failing"), TRUTHS)
def test_a_missing_field_counts_as_null(
    operator: str, value: Any, passing: list[Any], failing: list[Any]
) -> None:
    predicate = compile_record_predicate(Condition("a", operator, value))
    assert predicate(ABSENT) == predicate({"a": None})


@pytest.mark.parametrize(
    ("operator", "value", "text"),
    [
        ("eq", "STRASSE", "straße"),
        ("in", ["x", "İX"], "i̇x"),
        ("contains", "ΣΑΣ", "οσας"),
        ("starts_with", "AB", "abc"),
        ("ends_with", "BC", "abc"),
        ("regex", "B.$", "abc"),
        ("lte", "B", "b"),
    ],
)
def test_case_can_be_ignored(operator: str, value: Any, text: str) -> None:
    assert not compile_record_predicate(Condition("a", operator, value, True))({"a": text})
    assert compile_record_predicate(Condition("a", operator, value, False))({"a": text})


def test_groups() -> None:
    yes, no = Condition("a", "eq", 1), Condition("a", "eq", 2)
    truth = {
        And((yes, no)): False,
        And((yes, yes)): True,
        And(()): True,
        Or((yes, no)): True,
        Or(()): False,
        Not((yes, no)): False,
        Not((no, no)): True,
        Not(()): True,
    }
    assert {group: compile_record_predicate(group)({"a": 1}) for group in truth} == truth


RESOLVED: list[tuple[str, Any, Any]] = [
    ("a.b", {"a": {"b": 1}}, 1),
    ("a.b", {"a": {"b": None}}, None),
    ("a.b", {"a": 1}, MISSING),
    ("a.1", {"a": ["x", "y"]}, "y"),
    ("a.2", {"a": ["x", "y"]}, MISSING),
    ("a.1", {"a": {"1": "key"}}, "key"),
    ("a.01", {"a": [{"01": "mapped"}]}, ["mapped"]),
    ("a.b", {"a": [{"b": 1}, {"c": 2}, 3, {"b": None}, {"b": [4, 5]}]}, [1, 4, 5]),
    ("a.b", {"a": [{"c": 1}]}, MISSING),
    ("a.b", {"a": [{"b": []}]}, []),
    ("a.b.c", {"a": [{"b": [{"c": 1}]}, {"b": {"c": 2}}]}, [1, 2]),
    ("a.b", {"a": [[{"b": 1}]]}, MISSING),
    ("payload.a", {"a": 1}, 1),
    ("payload", {"payload": 1}, 1),
    ("payload.payload.x", {"payload": {"x": 1}}, 1),
    ("a.b", {"a.b": 1}, MISSING),
]


@pytest.mark.parametrize(("path", "payload", "value"), RESOLVED)
def test_path(path: str, payload: dict[str, Any], value: Any) -> None:
    assert resolve(path, {}, payload) == value


def test_attached_fields_come_before_the_stored_document() -> None:
    document = Document("doc_1", "col_1", payload={"score": 7, "extra": {"x": 1, "y": 2}})
    attached = document.with_score(0.5).with_attached(extra={"x": 3})
    paths = ("score", "payload.score", "extra.x", "extra.y", "document_id")
    assert [resolve(path, attached.root(), attached.payload) for path in paths] == [0.5, 7, 3, 2, "doc_1"]
    assert resolve("score", document.root(), document.payload) == 7  # no score yet: null counts as missing
    assert compile_predicate(Condition("score", "lt", 1))(attached)


@pytest.mark.parametrize("path", ["", "x" * 256, "a..b", ".a", "a.", "a\x00", "a\x7f", "\udc00", 5, None])
def test_a_bad_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput):
        validate_path(path)


def test_a_path_has_a_limit_of_parts() -> None:
    assert validate_path(".".join("a" * MAX_PATH_PARTS))
    with pytest.raises(InvalidInput, match="at most 20"):
        validate_path(".".join("a" * (MAX_PATH_PARTS + 1)))


def test_words_and_stems_are_those_of_the_text_index() -> None:
    assert words("The Wörld's\x00end: 東京!") == ["the", "world", "s", "end", "東京"]
    assert stems("running dogs, relational studies") == ["run", "dog", "relat", "studi"]


def ids(documents: list[Document]) -> list[str]:
    return [document.document_id for document in documents]


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (
            SortKey("a"),
            ["false", "true", "minus", "half", "one", "B", "a", "list", "object", "missing", "null"],
        ),
        (
            SortKey("a", "desc"),
            ["object", "list", "a", "B", "one", "half", "minus", "true", "false", "missing", "null"],
        ),
        (
            SortKey("a", "asc", False),
            ["missing", "null", "false", "true", "minus", "half", "one", "B", "a", "list", "object"],
        ),
        (
            SortKey("a", "desc", False),
            ["missing", "null", "object", "list", "a", "B", "one", "half", "minus", "true", "false"],
        ),
    ],
)
def test_values_of_all_types_have_one_order(key: SortKey, order: list[str]) -> None:
    values = {"null": None, "true": True, "false": False, "one": 1, "half": 0.5, "minus": -2}
    values |= {"B": "B", "a": "a", "list": [1], "object": {}}
    by_id: dict[str, Any] = {"missing": {}, **{name: {"a": value} for name, value in values.items()}}
    documents = [Document(name, "col_1", payload=payload) for name, payload in by_id.items()]
    assert ids(sort_documents(documents, [key])) == order


def test_ties_go_to_the_next_key_and_then_by_document_id() -> None:
    payloads = {"d3": {"a": 1, "b": 1}, "d1": {"a": 1, "b": 1}, "d2": {"a": 1, "b": 2}, "d0": {"a": 0}}
    documents = [Document(name, "col_1", payload=payload) for name, payload in payloads.items()]
    assert ids(sort_documents(documents, [SortKey("a", "desc"), SortKey("b", "desc")])) == [
        "d2",
        "d1",
        "d3",
        "d0",
    ]
