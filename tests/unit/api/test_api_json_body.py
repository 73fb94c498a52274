"""Bodies are strict JSON whose numbers survive."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_body import DEPTH_MAX, parse_json
from shared.errors import BadRequest

INT64 = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@given(JSON)
def test_what_json_can_say_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.integers(min_value=2**63) | st.integers(max_value=-(2**63) - 1))
def test_an_integer_over_64_bits_is_refused(number: int) -> None:
    with pytest.raises(BadRequest):
        parse_json(b'{"a": [%d]}' % number)


@pytest.mark.parametrize(
    "text", ['"12345678901234567890123"', "0.1234567890123456789012", "1e20", "-1234567890.12e5"]
)
def test_long_digits_that_are_no_integers_are_kept(text: str) -> None:
    value = parse_json(text.encode())
    assert value == json.loads(text)
    assert not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    parse_json(opening * DEPTH_MAX + b"1" + closing * DEPTH_MAX)
    with pytest.raises(BadRequest, match="deeper"):
        parse_json(opening * (DEPTH_MAX + 1) + b"1" + closing * (DEPTH_MAX + 1))


def test_brackets_in_texts_are_no_depth() -> None:
    assert parse_json(b'["' + b"[{" * 500 + b'"]') == ["[{" * 500]
