"""Details in their stored form: nothing is lost, documents stay readable, and the form never changes."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from shared.models.execution import Budget, Detail, Page, pagination_of
from shared.packing import packed, unpacked

# As an earlier version stored it. If this fails, records of the last hours cannot be read any more.
STORED = base64.b64decode("LCJkb2N1bWVudHMiOlt7ImRvY3VtZW50X2lkIjoiZG9jXzEifV0ASCyascFpA3oCZ+5A9lAtAEAhDzA=")
STAGE = {
    "input_count": 0,
    "output_count": 3,
    "duration_ms": 26.533,
    "efficiency": 0.0,
    "cache_hit": False,
    "stage_cache_hit": False,
}
DETAIL = Detail(
    budget=Budget().report(0.0203, 28.566),
    pagination=pagination_of(Page(), 3, 3, None),
    stages={"narrow": STAGE, "search": STAGE},
    total_time_ms=28.566,
    credits_used=0.0203,
    documents=[{"document_id": "doc_1", "payload": {"documents_retained": [1]}}],
).to_json()


def test_what_was_stored_can_still_be_read() -> None:
    assert (
        unpacked(STORED) == b',"documents":[{"document_id":"doc_1"}],"documents_retained":true,"warnings":[]}'
    )


def test_a_detail_is_a_quarter_of_its_size_and_its_documents_stay_as_they_are() -> None:
    stored = packed(DETAIL)
    documents = DETAIL[: DETAIL.index(b',"documents_retained":true')]
    assert stored.startswith(documents + b"\0")
    assert len(stored) - len(documents) < (len(DETAIL) - len(documents)) / 4
    assert unpacked(stored) == DETAIL


@given(st.binary().map(lambda raw: raw.replace(b"\0", b"")), st.binary())
def test_packing_loses_nothing(documents: bytes, behind: bytes) -> None:
    """Wherever the name that it looks for turns up. No JSON holds the byte NUL."""
    detail = documents + b',"documents_retained":' + behind.replace(b"\0", b"")
    assert unpacked(packed(detail)) == detail
    assert unpacked(packed(documents)) == documents


@given(st.binary().map(lambda raw: raw.replace(b"\0", b"")))
def test_what_was_never_packed_is_read_as_it_is(detail: bytes) -> None:
    assert unpacked(detail) == detail
