"""What the test stages wrote to disk: which stage of which attempt started and ended when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

START, END = "start", "end"


@dataclass(frozen=True)
class Entry:
    """One line: an attempt of an execution reached the start or the end of a stage."""

    at_s: float  # seconds since the epoch, by the machine's clock
    event: str  # START or END
    execution_id: str
    attempt: int
    stage_index: int


def read_ledger(path: Path) -> dict[str, list[Entry]]:
    """Execution id -> its entries in the order of writing. A last line that is cut is left out."""
    found: dict[str, list[Entry]] = defaultdict(list)
    lines = path.read_text().split("\n") if path.exists() else [""]
    for line in lines[:-1]:
        at_s, event, execution_id, attempt, stage_index = line.split(" ")
        found[execution_id].append(Entry(float(at_s), event, execution_id, int(attempt), int(stage_index)))
    return found
