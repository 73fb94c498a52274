"""Documents as the engine hands them out."""

from __future__ import annotations

from shared.models.document import Document


def test_documents_from_rows_are_like_documents_made_one_by_one() -> None:
    rows = [("doc_1", b'{"a":1}'), ("doc_2", b"{}")]
    expected = [Document(document_id, "col_1", raw) for document_id, raw in rows]
    documents = Document.from_rows("col_1", rows)
    for name in Document.__slots__:
        assert [getattr(each, name) for each in documents] == [getattr(each, name) for each in expected]


def test_what_is_attached_to_one_document_is_not_on_another() -> None:
    first, second = Document.from_rows("col_1", [("doc_1", b"{}"), ("doc_2", b"{}")])
    assert first.with_attached(rank=1).root()["rank"] == 1
    assert "rank" not in first.root() | second.root() | Document("doc_3", "col_1").root()
