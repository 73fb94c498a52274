"""The result of a run that went through: its rows, and the page of them that the answer shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from shared.documents import DocumentStore
from shared.filters import SortKey
from shared.models.document import Document
from shared.models.execution import Claim, Page, Status, pagination_of, profile_json, with_limits
from shared.result_cursor import next_cursor
from shared.stores.ledger import Outcome
from workers.execution.books import Books
from workers.execution.keyset import Keyset
from workers.execution.result_rows import ResultRows


class Result:
    """The documents that the last stage returned."""

    def __init__(
        self,
        claim: Claim,
        documents: Sequence[Document],
        order: Sequence[SortKey] | None,
        store: DocumentStore,
        *,
        is_result: bool = True,
    ) -> None:
        """
        Args:
            order: what the documents are ordered by, ties by document id; None = nothing a field tells.
            is_result: they are those of the last stage, not of one before it.
        """
        self._is_result = is_result
        self._claim = claim
        self._documents = documents
        collections = {*claim.request.collection_ids, *(each.collection_id for each in documents)}
        self._keyset = Keyset(documents, order, several_collections=len(collections) > 1)
        self._store = store

    def outcome(self, books: Books, *, cursor_secret: bytes, max_bytes: int) -> Outcome:
        """Raises StageFailed when the result is too large or no JSON, or does not fit the page asked for."""
        page = self._page()
        writer = ResultRows(self._claim.request, self._claim.namespace_id, self._store, max_bytes)
        rows = writer.write(self._documents)
        shown = rows[page.offset : page.offset + page.size]
        pagination = pagination_of(page, len(rows), len(shown), self._following(page, cursor_secret))
        detail = books.detail([orjson.Fragment(row) for row in shown], pagination, is_result=self._is_result)
        return Outcome(
            Status.DEGRADED if books.degraded else Status.COMPLETED,
            None,
            books.stages_completed,
            with_limits(detail, writer.limits()),
            books.figures(len(shown)),
            documents=rows if len(shown) < len(rows) else (),
            profile=profile_json(books.profile()),
        )

    def _page(self) -> Page:
        page = self._claim.request.page
        return page if page.after is None else replace(page, offset=self._keyset.start(page.after))

    def _following(self, page: Page, cursor_secret: bytes) -> Any:
        """What leads to the page after this one; None where there is none."""
        total = len(self._documents)
        end = page.offset + page.size
        if page.method == "keyset":
            return self._keyset.marker(self._documents[end - 1]) if end < total else None
        return next_cursor(self._claim.execution_id, page, total, cursor_secret)
