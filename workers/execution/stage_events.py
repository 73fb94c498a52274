"""What a run tells those who follow it: its stages as they start and end (contract 2.8)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from shared.models.document import Document
from workers.execution.books import Books, StageEntry
from workers.execution.definition import PlannedStage
from workers.lease.run import Run

# Documents in one event. With EVENTS_MAX (shared/lua/event_stream.lua) it bounds the events of an execution.
_DOCUMENTS_MAX_BYTES = 128_000


class StageEvents:
    """One per run. The run's next write makes them, if somebody follows it: most are followed by nobody."""

    def __init__(self, run: Run, books: Books) -> None:
        self._run = run
        self._books = books
        self._request = run.claim.request

    def started(self, planned: PlannedStage) -> None:
        """Not for the first stage, whose start is the claim."""
        self._run.tell("stage_start", partial(_members, planned))

    def ended(self, entry: StageEntry, documents: Sequence[Document] | None) -> None:
        """`documents` are what the stage returned; None when it failed."""
        shown = None
        if self._request.stream and entry.error is None:
            shown = self._shown(documents or ())
        members = partial(_of_end, entry, self._books.credits_used, self._books.spent_ms(), shown)
        self._run.tell("stage_complete" if entry.error is None else "stage_error", members)

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


def _of_end(
    entry: StageEntry, credits_used: float, spent_ms: float, documents: Sequence[orjson.Fragment] | None
) -> bytes:
    body: dict[str, Any] = {
        "statistics": entry.statistics(),
        "budget_used": {
            "credits_used": round(credits_used, 6),
            "time_elapsed_ms": round(spent_ms, 3),
            "tokens_used": 0,  # no stage asks a language model
        },
    }
    if entry.error is not None:
        body["error"] = entry.error
    if documents is not None:
        body["documents"] = documents
    return _members(entry.planned, **body)


def _members(planned: PlannedStage, **more: Any) -> bytes:
    body = {"stage_name": planned.name, "stage_index": planned.index, **more}
    return b"," + orjson.dumps(body)[1:-1]
