"""The meaning of a filter, in plain Python. The compilers to an engine must agree with this file.

- A condition on a list holds when it holds for one of its elements (one level, nulls never match).
- `ne`, `nin` and `is_null` are the exact opposites of `eq`, `in` and `exists`: they hold where the field is
  missing.
- Null counts as missing; `eq null` means is_null.
- Types are strict: text, numbers and booleans never equal each other, and 1 equals 1.0.
- Order (`gt` …) exists between two numbers and between two texts (by code point), nowhere else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeAlias

import re2

from shared.filters.ast import GEOGRAPHIC, And, AnyText, Condition, Filter, Not, Or, Partition
from shared.filters.geo import compile_area, touches
from shared.filters.paths import MISSING, resolve, resolve_each
from shared.filters.values import comparable, is_number, number
from shared.filters.words import stems, words
from shared.models.document import Document

Test: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]  # (root, payload) -> does it hold
ItemTest: TypeAlias = Callable[[Any], bool]  # of one value that is neither null nor missing

OPPOSITES = {"ne": "eq", "nin": "in", "is_null": "exists"}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_EMPTY: Mapping[str, Any] = {}
_OF_THE_SERVER = frozenset({"collection_id", "_internal"})


def compile_predicate(filter_: Filter) -> Callable[[Document], bool]:
    """A test of documents on their way through a pipeline."""
    test = compile_test(filter_)
    return lambda document: test(document.root(), document.payload)


def compile_record_predicate(filter_: Filter) -> Callable[[Mapping[str, Any]], bool]:
    """A test of any other record, such as the summary of an execution."""
    test = compile_test(filter_)
    return lambda record: test(_EMPTY, record)


def compile_test(filter_: Filter) -> Test:
    match filter_:
        case And(children):
            tests = [compile_test(child) for child in children]
            return lambda root, payload: all(test(root, payload) for test in tests)
        case Or(children):
            tests = [compile_test(child) for child in children]
            return lambda root, payload: any(test(root, payload) for test in tests)
        case Not(children):
            tests = [compile_test(child) for child in children]
            return lambda root, payload: not any(test(root, payload) for test in tests)
        case Condition():
            return _compile_condition(filter_)
        case AnyText(pattern):
            return _any_text(pattern)
        case Partition(index, count):
            return lambda _, payload: part_of(payload["document_id"], count) == index


def _compile_condition(condition: Condition) -> Test:
    if condition.operator in OPPOSITES:
        positive = _compile_positive(_with_operator(condition, OPPOSITES[condition.operator]))
        return lambda root, payload: not positive(root, payload)
    return _compile_positive(condition)


def _compile_positive(condition: Condition) -> Test:
    path, wanted = condition.path, condition.value
    if condition.operator == "exists":
        return lambda root, payload: _is_present(resolve(path, root, payload)) == wanted
    if condition.operator == "eq" and wanted is None:
        return lambda root, payload: not _is_present(resolve(path, root, payload))
    if condition.operator in GEOGRAPHIC:
        area = compile_area(condition.operator, wanted)
        return lambda root, payload: any(touches(area, value) for value in resolve_each(path, root, payload))
    holds_when_missing = condition.operator == "in" and None in wanted
    item_test = compile_item_test(condition)
    element_test = item_test
    if condition.operator == "contains":
        element_test = compile_item_test(_with_operator(condition, "eq"))

    def test(root: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        value = resolve(path, root, payload)
        if value is MISSING or value is None:
            return holds_when_missing
        if isinstance(value, list):
            return any(element_test(element) for element in value)
        return item_test(value)

    return test


def _is_present(value: Any) -> bool:
    return value is not MISSING and value is not None


def _with_operator(condition: Condition, name: str) -> Condition:
    return Condition(condition.path, name, condition.value, condition.case_sensitive)


def compile_item_test(condition: Condition) -> ItemTest:
    """The test of one single value; `condition` has a positive operator other than exists."""
    name, wanted, exact = condition.operator, condition.value, condition.case_sensitive
    if name == "eq":
        return _member_of([wanted], exact)
    if name == "in":
        return _member_of(wanted, exact)
    if name in _ORDER:
        return _ordered(_ORDER[name], wanted, exact)
    if not isinstance(wanted, str):  # contains with a number or a boolean: only ever an element of a list
        return lambda _: False
    text_test = compile_text_test(name, wanted, case_sensitive=exact)
    return lambda value: isinstance(value, str) and text_test(value)


def _member_of(wanted: list[Any], exact: bool) -> ItemTest:
    texts = frozenset(comparable(value, case_sensitive=exact) for value in wanted if isinstance(value, str))
    numbers = frozenset(number(value) for value in wanted if is_number(value))
    booleans = frozenset(value for value in wanted if isinstance(value, bool))

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return comparable(value, case_sensitive=exact) in texts
        if isinstance(value, bool):
            return value in booleans
        return is_number(value) and number(value) in numbers

    return test


def _ordered(compare: Callable[[Any, Any], bool], wanted: Any, exact: bool) -> ItemTest:
    if isinstance(wanted, str):
        bound = comparable(wanted, case_sensitive=exact)
        return lambda value: (
            isinstance(value, str) and compare(comparable(value, case_sensitive=exact), bound)
        )
    limit = number(wanted)
    return lambda value: is_number(value) and compare(number(value), limit)


@lru_cache(maxsize=512)
def compile_text_test(name: str, wanted: str, *, case_sensitive: bool) -> Callable[[str], bool]:
    """The test of one text by an operator on texts; `text`, `phrase` and `words` always ignore case."""
    if name == "regex":
        return _regex(wanted, case_sensitive)
    if name == "phrase":
        return _phrase(wanted)
    if name == "words":
        return _all_words(wanted)
    exact = case_sensitive and name != "text"
    part = comparable(wanted, case_sensitive=exact)
    if name == "starts_with":
        return lambda text: comparable(text, case_sensitive=exact).startswith(part)
    if name == "ends_with":
        return lambda text: comparable(text, case_sensitive=exact).endswith(part)
    return lambda text: part in comparable(text, case_sensitive=exact)


def compile_regex(pattern: str, *, case_sensitive: bool) -> Any:
    """RE2, which needs linear time whatever the pattern; `re` can hold the interpreter for hours.

    Raises:
        re2.error: the pattern is not RE2 syntax (no look-around, no back-references).
    """
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.log_errors = False
    options.never_capture = True
    return re2.compile(pattern, options)


def part_of(document_id: str, count: int) -> int:
    """Which of `count` parts a document is in: BLAKE2b of its id, so that ids which are alike spread too."""
    return int.from_bytes(blake2b(document_id.encode(), digest_size=8).digest()) % count


def _any_text(pattern: str) -> Test:
    wildcards = {"*": ".*", "?": "."}
    expression = "".join(wildcards.get(char) or re2.escape(char) for char in pattern)
    found = _regex(f"(?s){expression}", False)
    return lambda _, payload: any(found(text) for text in _own_texts(payload))


def _own_texts(payload: Mapping[str, Any]) -> Iterator[str]:
    """The id, and every text of the user's fields; no keys, and nothing that the server keeps."""
    level = [value for name, value in payload.items() if name not in _OF_THE_SERVER]
    while level:
        yield from (value for value in level if isinstance(value, str))
        level = [inner for value in level for inner in _inside(value)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _regex(pattern: str, case_sensitive: bool) -> Callable[[str], bool]:
    search = compile_regex(pattern, case_sensitive=case_sensitive).search
    # Bytes: for str the wrapper converts every match offset back to characters, which nobody reads.
    return lambda text: search(text.encode()) is not None


def _phrase(wanted: str) -> Callable[[str], bool]:
    phrase = f" {' '.join(words(wanted))} "
    if not phrase.strip():
        return lambda _: False
    return lambda text: phrase in f" {' '.join(words(text))} "


def _all_words(wanted: str) -> Callable[[str], bool]:
    needed = frozenset(stems(wanted))
    if not needed:
        return lambda _: False
    return lambda text: needed.issubset(stems(text))
