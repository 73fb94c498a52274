"""What a run tells those who follow it: its stages as they start and end (contract 2.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson

from shared.models.document import Document
from shared.models.execution import StageEvent
from workers.execution.books import Books, StageEntry
from workers.execution.definition import PlannedStage
from workers.lease.run import Run

# Documents in one event; with shared/lua/record.lua's EVENTS_MAX it bounds what an execution's events take.
_DOCUMENTS_MAX_BYTES = 128_000


class StageEvents:
    """One per run. The events go with the run's next write."""

    def __init__(self, run: Run, books: Books) -> None:
        self._run = run
        self._books = books
        self._request = run.claim.request

    def started(self, planned: PlannedStage) -> None:
        """Not for the first stage, whose start is the claim."""
        self._tell("stage_start", planned, {})

    def ended(self, entry: StageEntry, documents: Sequence[Document] | None) -> None:
        """`documents` are what the stage returned; None when it failed."""
        body: dict[str, Any] = {"statistics": entry.statistics(), "budget_used": self._budget_used()}
        if entry.error is not None:
            self._tell("stage_error", entry.planned, {**body, "error": entry.error})
            return
        if self._request.stream:
            body["documents"] = self._shown(documents or ())
        self._tell("stage_complete", entry.planned, body)

    def _budget_used(self) -> dict[str, Any]:
        return {
            "credits_used": round(self._books.credits_used, 6),
            "time_elapsed_ms": round(self._books.spent_ms(), 3),
            "tokens_used": 0,  # no stage asks a language model
        }

    def _shown(self, documents: Sequence[Document]) -> list[orjson.Fragment]:
        """The first page of them, as far as it fits into an event and is JSON."""
        rows: list[orjson.Fragment] = []
        room_bytes = _DOCUMENTS_MAX_BYTES
        for document in documents[: self._request.page.size]:
            try:
                row = orjson.dumps(document.result())
            except TypeError:  # what a stage attached: an error only if the result still has it
                break
            room_bytes -= len(row)
            if room_bytes < 0:
                break
            rows.append(orjson.Fragment(row))
        return rows

    def _tell(
        self,
        event_type: Literal["stage_start", "stage_complete", "stage_error"],
        planned: PlannedStage,
        members: Mapping[str, Any],
    ) -> None:
        body = {"stage_name": planned.name, "stage_index": planned.index, **members}
        self._run.tell(StageEvent(event_type, b"," + orjson.dumps(body)[1:-1]))
