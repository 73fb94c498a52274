"""Details as the record keeps them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import packing
from shared.models.execution import Budget, Detail, Page, pagination_of
from shared.packing import packed, unpacked

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=9), each, max_size=3),
    max_leaves=10,
)


def detail(**more: object) -> bytes:
    plain = Detail(budget=Budget().report(0.0, 0.0), pagination=pagination_of(Page(), 0, 0, None), **more)
    return plain.to_json()


@given(st.lists(st.dictionaries(st.text(), _JSON, max_size=4), max_size=4), st.lists(st.text(), max_size=3))
def test_what_was_packed_comes_back(documents: list[dict[str, object]], warnings: list[str]) -> None:
    given_one = detail(documents=documents, warnings=warnings)
    assert unpacked(packed(given_one)) == given_one


@pytest.mark.parametrize("text", ["", "\0", ',"documented":false', ',"documents_retained":true,"x":1'])
def test_documents_that_look_like_what_stands_behind_them(text: str) -> None:
    given_one = detail(documents=[{"text": text}])
    assert unpacked(packed(given_one)) == given_one


def test_what_was_never_packed_stays() -> None:
    assert unpacked(detail()) == detail()


def test_a_plain_one_is_an_eighth_of_what_it_was() -> None:
    assert len(packed(detail())) * 8 < len(detail())


def test_the_phrases_stay_those_of_the_records_that_are_kept() -> None:
    digest = hashlib.sha256(b"\0".join(packing._PHRASES)).hexdigest()
    assert digest == "9c64b94656932623750c8b74c89217c565f1a8383879a59152734a4cbc0baaad"


def test_each_phrase_has_a_byte_that_json_never_holds() -> None:
    assert len(packing._PHRASES) < 0x20
