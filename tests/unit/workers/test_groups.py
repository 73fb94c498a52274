"""Groups of documents: what counts as equal, in which order they stand, and the rows made of them."""

from __future__ import annotations

import orjson

from shared.filters import field_value
from shared.models.document import Document
from tests.unit.workers.alone import document, documents_of
from workers.documents.groups import best_first, group_documents, row


def ids(documents: list[Document]) -> list[str]:
    return [each.document_id for each in documents]


def test_best_first_keeps_ties_and_documents_without_a_score_in_order() -> None:
    documents = [document("d"), document("b", 1.0), document("a", 1.0), document("c"), document("e", 2.0)]
    assert ids(best_first(documents)) == ["e", "b", "a", "d", "c"]


def test_a_score_below_nothing_is_still_a_score() -> None:
    assert ids(best_first([document("none"), document("negative", -1.0)])) == ["negative", "none"]


def test_values_are_equal_as_they_are_in_a_sort() -> None:
    values = [1, "1", True, 1.0, [1], [1], None, {"a": 1}, {"a": 1}]
    groups = group_documents(documents_of(values), ["value"])
    assert [(group.values, len(group.documents)) for group in groups] == [
        ((1,), 2), (("1",), 1), ((True,), 1), (([1],), 2), ((None,), 1), (({"a": 1},), 2),
    ]  # fmt: skip


def test_null_and_missing_are_one_value_and_several_paths_make_one_key() -> None:
    documents = [document("a", x=None, y=1), document("b", y=1), document("c", y=2), document("d", x=1, y=1)]
    groups = group_documents(documents, ["x", "y"])
    assert [(group.values, ids(group.documents)) for group in groups] == [
        ((None, 1), ["a", "b"]), ((None, 2), ["c"]), ((1, 1), ["d"]),
    ]  # fmt: skip


def test_a_row_has_the_ids_and_score_of_its_document_and_nothing_of_its_content() -> None:
    made = row(document("a", 0.5, title="hidden"), {"count": 3})
    assert orjson.loads(orjson.dumps(made.result())) == {
        "document_id": "a", "collection_id": "col_1", "score": 0.5, "payload": {}, "count": 3,
    }  # fmt: skip
    assert field_value(made, "count") == 3
    assert field_value(made, "title") is None
