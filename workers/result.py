"""The result of a run that went through: its rows, and the page of them that the answer shows."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from shared.documents import DocumentStore
from shared.filters import SortKey
from shared.models.document import Document
from shared.models.execution import Claim, Status, pagination_of
from shared.result_cursor import next_cursor
from shared.stores.ledger import Outcome
from workers.books import Books
from workers.failure import StageFailed


class Result:
    """The documents that the last stage returned."""

    def __init__(
        self,
        claim: Claim,
        documents: Sequence[Document],
        order: Sequence[SortKey] | None,
        store: DocumentStore,
    ) -> None:
        """
        Args:
            order: what the documents are ordered by, ties by document id; None = nothing a field tells.
        """
        self._claim = claim
        self._documents = documents
        self._order = order
        self._store = store

    def outcome(self, books: Books, *, cursor_secret: bytes, max_bytes: int) -> Outcome:
        """Raises StageFailed when the result is too large or no JSON."""
        rows = [_row(document) for document in self._documents]
        _refuse_oversized(rows, max_bytes)
        page = self._claim.request.page
        shown = rows[page.offset : page.offset + page.size]
        cursor = next_cursor(self._claim.execution_id, page, len(rows), cursor_secret)
        pagination = pagination_of(page, len(rows), len(shown), cursor)
        detail = books.detail([orjson.Fragment(row) for row in shown], pagination)
        return Outcome(
            Status.DEGRADED if books.degraded else Status.COMPLETED,
            None,
            books.stages_completed,
            detail,
            books.figures(len(shown)),
            documents=rows if len(shown) < len(rows) else (),
        )


def _refuse_oversized(rows: Sequence[bytes], max_bytes: int) -> None:
    size_bytes = sum(map(len, rows))
    if size_bytes > max_bytes:
        raise StageFailed(
            f"the result has {size_bytes:,} bytes, over the limit of {max_bytes:,}; "
            "keep fewer documents (final_top_k, sample) or smaller ones"
        )


def _row(document: Document) -> bytes:
    """The document as the result holds it. Raises StageFailed when a stage attached what JSON cannot hold."""
    try:
        return orjson.dumps(document.result())
    except TypeError as error:
        raise StageFailed(
            f"document {document.document_id!r} cannot be written as JSON ({error}); "
            f"a stage attached one of {', '.join(sorted(document.attached))}"
        ) from error
