"""Pages by position: nothing is lost or repeated, whatever is written meanwhile."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.documents import CollectionRef, DocumentStore, DocumentWrite, cursor_of
from shared.documents.cursor import read_cursor
from shared.errors import BadRequest
from shared.filters import Condition, SortKey, sort_documents

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.5, 2.0**63, "", "a", "b\x00", [1], {"x": 1}]),
)
FIELDS = st.lists(st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES}), min_size=1, max_size=12)
SORTS = st.lists(
    st.builds(
        SortKey,
        st.sampled_from(["a", "b", "a.x", "_internal.created_at"]),
        st.sampled_from(["asc", "desc"]),
        st.booleans(),
    ),
    max_size=2,
)


def write_all(
    store: DocumentStore, ref: CollectionRef, fields: list[dict[str, Any]], prefix: str
) -> list[str]:
    writes = [DocumentWrite(f"{prefix}{number}", each) for number, each in enumerate(fields)]
    return [document.document_id for document in store.upsert(ref, writes).documents]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=FIELDS, added=FIELDS, sort=SORTS, limit=st.integers(1, 4))
def test_pages_neither_lose_nor_repeat_while_others_write(
    store: DocumentStore,
    other_store: DocumentStore,
    ref: CollectionRef,
    fields: list[dict[str, Any]],
    added: list[dict[str, Any]],
    sort: list[SortKey],
    limit: int,
) -> None:
    store.delete(ref, [document.document_id for document in store.select(ref, limit=1000)])
    before = write_all(store, ref, fields, "m")
    expected = [document.document_id for document in sort_documents(store.get(ref, before), sort)]
    seen: list[str] = []
    after, page_number = None, 0
    while page := store.select(ref, sort=sort, limit=limit, after=after):
        seen += [document.document_id for document in page]
        after = cursor_of(page[-1], sort)
        write_all(
            other_store, ref, added[page_number : page_number + 1], f"{'az'[page_number % 2]}{page_number}_"
        )
        page_number += 1
        assert page_number <= len(fields) + len(added)
    assert len(seen) == len(set(seen))
    assert [document_id for document_id in seen if document_id in before] == expected


def test_a_page_holds_what_the_filter_passes(store: DocumentStore, ref: CollectionRef) -> None:
    write_all(store, ref, [{"n": number % 3} for number in range(9)], "d")
    condition = Condition("n", "gt", 0)
    first = store.select(ref, where=condition, sort=[SortKey("n", "desc")], limit=4)
    rest = store.select(
        ref,
        where=condition,
        sort=[SortKey("n", "desc")],
        limit=4,
        after=cursor_of(first[-1], [SortKey("n", "desc")]),
    )
    skipped = store.select(ref, where=condition, sort=[SortKey("n", "desc")], limit=4, offset=4)
    assert [d.document_id for d in first] == ["d2", "d5", "d8", "d1"]
    assert [d.document_id for d in rest] == [d.document_id for d in skipped] == ["d4", "d7"]


def test_a_position_outlives_its_document(store: DocumentStore, ref: CollectionRef) -> None:
    write_all(store, ref, [{}] * 4, "d")
    page = store.select(ref, limit=2)
    store.delete(ref, ["d1"])
    assert [d.document_id for d in store.select(ref, limit=9, after=cursor_of(page[-1]))] == ["d2", "d3"]


def forged(content: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "not base64 at all!",
        base64.urlsafe_b64encode(b"\xff").decode(),
        forged(7),
        forged([[], [], 7]),
        forged([[], [[1, 2]], "doc_1"]),
        forged([[["a", "asc", True]], [], "doc_1"]),
    ],
)
def test_what_is_no_position_is_refused(store: DocumentStore, ref: CollectionRef, cursor: str) -> None:
    with pytest.raises(BadRequest, match="first page"):
        store.select(ref, limit=1, after=cursor)


@pytest.mark.parametrize("place", [[1], [1, 2, 3], ["1", 2], [99, 2], [1, {}], [1, True], [2, 2**63], 5])
def test_a_damaged_position_is_refused(place: Any) -> None:
    with pytest.raises(BadRequest, match="damaged"):
        read_cursor(forged([[["a", "asc", True]], [place], "doc_1"]), [SortKey("a")])
