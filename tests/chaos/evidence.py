"""Everything that the referee is shown: gathered after the load has ended, through the API and from disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.chaos.door import Door
from tests.chaos.ledger import Entry, read_ledger
from tests.chaos.load import NOTES, RETRIEVER, Acknowledged, Load, Sight, read
from tests.waiting import wait_until

_PAGE = 500
_EMBEDDED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Evidence:
    """What was promised, what is there, and what was done."""

    acknowledged: Acknowledged
    answers: Mapping[str, Mapping[str, Any]]  # execution id -> the record as the API gives it now
    first_sights: Mapping[str, Sight]  # execution id -> its end as it was first seen
    ledger: Mapping[str, Sequence[Entry]]
    documents: Mapping[str, bool]  # document id -> whether it is found by meaning, too
    batches: Mapping[str, Mapping[str, Any]]  # batch id -> the batch as the API gives it now
    listed: int  # executions in the history of the retriever
    crashes: Sequence[str]


def gather(door: Door, load: Load, ledger_path: Path) -> Evidence:
    """The evidence after every open execution was given time to end."""
    acknowledged = load.acknowledged
    batches = {batch_id: door.get(f"/batches/{batch_id}") for batch_id in acknowledged.batches}
    lines = [line for batch_id in batches for line in _lines(door, batch_id)]
    singles = [read(door, execution_id) for execution_id in acknowledged.executions]
    listing = door.post(f"/retrievers/{RETRIEVER}/executions/list?limit=1", {})
    return Evidence(
        acknowledged=acknowledged,
        answers={answer["execution_id"]: answer for answer in (*singles, *lines)},
        first_sights=dict(load.first_sights),
        ledger=read_ledger(ledger_path),
        documents=_documents(door),
        batches=batches,
        listed=listing["pagination"]["total"],
        crashes=tuple(door.crashes),
    )


def wait_for_the_end(door: Door, load: Load, timeout_s: float) -> None:
    """Return when nothing is open any more, or the time is over: what is still open then is lost."""
    ends_at = time.monotonic() + timeout_s

    def ended() -> bool:
        if time.monotonic() > ends_at:
            return True
        batches = (door.get(f"/batches/{batch_id}") for batch_id in load.acknowledged.batches)
        return not load.in_flight() and all(batch["status"] == "ended" for batch in batches)

    wait_until(ended, timeout_s + 60, "the end of all executions")


def _lines(door: Door, batch_id: str) -> Iterator[dict[str, Any]]:
    answer: httpx.Response = door.ask("GET", f"/batches/{batch_id}/results")
    assert answer.status_code == 200, answer.text
    for line in answer.text.splitlines():
        yield orjson.loads(line)


def _documents(door: Door) -> dict[str, bool]:
    """Every note, once all are embedded or the time for that is over."""
    ends_at = time.monotonic() + _EMBEDDED_WITHIN_S
    found = _notes(door)
    while not all(found.values()) and time.monotonic() < ends_at:
        found = _notes(door)
    return found


def _notes(door: Door) -> dict[str, bool]:
    found: dict[str, bool] = {}
    cursor: str | None = None
    while True:
        query = f"limit={_PAGE}" + (f"&cursor={cursor}" if cursor else "")
        page = door.post(f"/collections/{NOTES}/documents/list?{query}", {})
        for document in page["results"]:
            found[document["document_id"]] = document["searchable_at"] is not None
        cursor = page["pagination"].get("next_cursor")
        if not cursor:
            return found
