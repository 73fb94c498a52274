"""Keyset pages: whatever the order, all pages together are the result, each document once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.filters import SortKey, sort_documents
from shared.models.document import Document
from workers.execution.failure import StageFailed
from workers.execution.keyset import Keyset

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "b", "ä"]), st.lists(st.integers(0, 2), max_size=2),
)  # fmt: skip
KEYS = st.builds(
    SortKey, st.sampled_from(["a", "b", "score", "id"]), st.sampled_from(["asc", "desc"]), st.booleans()
)
BY_YEAR = [SortKey("year", "desc")]


@st.composite
def results(draw: st.DrawFn) -> tuple[list[Document], list[SortKey], bool]:
    """Documents in an order; with several collections two of them may have one id."""
    several = draw(st.booleans())
    collections = ["col_1", "col_2"] if several else ["col_1"]
    names = draw(st.sets(st.tuples(st.sampled_from(collections), st.sampled_from("uvwxyz")), max_size=10))
    documents = []
    for collection_id, document_id in sorted(names):
        fields = st.dictionaries(st.sampled_from(["a", "b", "id"]), VALUES, max_size=3)
        score = draw(st.one_of(st.none(), st.floats(0, 2)))
        payload = orjson.loads(orjson.dumps(draw(fields)))
        documents.append(Document(document_id, collection_id, payload=payload, score=score))
    order = draw(st.lists(KEYS, max_size=2, unique_by=lambda key: key.path))
    return (sort_documents(documents, order) if order or not several else documents), order, several


def keyset(documents: Sequence[Document], order: Sequence[SortKey] | None, several: bool = False) -> Keyset:
    return Keyset(documents, order, several_collections=several)


def sent(marker: dict[str, Any]) -> dict[str, Any]:
    """The marker after its way to the client and back."""
    returned: dict[str, Any] = orjson.loads(orjson.dumps(marker))
    return returned


@given(results())
def test_behind_a_document_comes_the_next_one(result: tuple[list[Document], list[SortKey], bool]) -> None:
    documents, order, several = result
    seen = keyset(documents, order, several)
    for index, document in enumerate(documents):
        assert seen.start(sent(seen.marker(document))) == index + 1


@given(results(), st.data())
def test_a_document_that_is_gone_keeps_its_place(
    result: tuple[list[Document], list[SortKey], bool], data: st.DataObject
) -> None:
    documents, order, _ = result
    documents = [each for each in documents if each.collection_id == "col_1"]
    if not documents:
        return
    documents = sort_documents(documents, order)
    index = data.draw(st.integers(0, len(documents) - 1))
    marker = keyset(documents, order).marker(documents[index])
    assert keyset(documents[:index] + documents[index + 1 :], order).start(sent(marker)) == index


def book(number: int, year: int) -> Document:
    return Document(f"doc_{number}", "col_1", payload={"year": year})


def test_the_marker_holds_every_sort_value_and_the_id() -> None:
    documents = [book(1, 2001), Document("doc_2", "col_1", payload={})]
    seen = keyset(documents, BY_YEAR)
    assert [seen.marker(each) for each in documents] == [
        {"year": 2001, "id": "doc_1"},
        {"year": None, "id": "doc_2"},
    ]


def test_with_several_collections_it_names_the_collection() -> None:
    twins = [Document("doc_1", each, payload={"year": 1}) for each in ("col_1", "col_2")]
    seen = keyset(twins, BY_YEAR, several=True)
    assert seen.marker(twins[0]) == {"year": 1, "id": "doc_1", "collection_id": "col_1"}
    assert [seen.start(seen.marker(each)) for each in twins] == [1, 2]


def test_a_sort_field_named_id_leaves_the_document_its_long_name() -> None:
    document = Document("doc_1", "col_1", payload={"id": 7})
    assert keyset([document], [SortKey("id")]).marker(document) == {"id": 7, "document_id": "doc_1"}


def test_a_document_that_moved_is_passed_where_it_was() -> None:
    before = [book(1, 2003), book(2, 2002), book(3, 2001)]
    marker = keyset(before, BY_YEAR).marker(before[1])
    after = [book(2, 2009), book(1, 2003), book(3, 2001)]
    assert keyset(after, BY_YEAR).start(marker) == 2


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"id": "doc_1"}, "year is missing"),
        ({"year": 2001}, "id is missing"),
        ({"year": 2001, "id": 5}, "id is no text"),
        ({"year": 2001, "id": "doc_1", "score": 1.0}, "score is none of them"),
    ],
)
def test_a_marker_of_another_shape_is_refused(after: dict[str, Any], says: str) -> None:
    with pytest.raises(StageFailed, match=says):
        keyset([book(1, 2001)], BY_YEAR).start(after)


def test_without_an_order_the_document_itself_is_the_place() -> None:
    shuffled = [book(3, 1), book(1, 1), book(2, 1)]
    assert keyset(shuffled, None).start({"id": "doc_1"}) == 2
    with pytest.raises(StageFailed, match="'doc_9' is not in the result"):
        keyset(shuffled, None).start({"id": "doc_9"})


def test_collections_one_after_the_other_are_no_order_of_ids() -> None:
    documents = [Document("doc_2", "col_1", payload={}), Document("doc_1", "col_2", payload={})]
    seen = keyset(documents, (), several=True)
    assert seen.start({"id": "doc_2", "collection_id": "col_1"}) == 1
    with pytest.raises(StageFailed, match="is not in the result"):
        seen.start({"id": "doc_3", "collection_id": "col_1"})
