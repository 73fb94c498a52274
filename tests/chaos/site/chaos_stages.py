"""A stage for the chaos suite, installed in the workers through the entry-point group of stages."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from shared.errors import StageError
from shared.models.document import Document
from workers.context import StageContext
from workers.stages.base import Stage, StageOutput, StageParameters

_LEDGER = Path(os.environ["CHAOS_LEDGER"])
_TICK_S = 0.02


class StepParameters(StageParameters):
    """How long it takes, and how it ends."""

    duration_ms: int = Field(0, ge=0, le=60_000, description="Time the stage takes (ms).")
    fails: bool = Field(False, description="Whether it fails at its end.")


class Step(Stage[StepParameters]):
    """Note start and end in a ledger on disk, and add a mark of this attempt to each document."""

    stage_id: ClassVar[str] = "chaos_step"
    category: ClassVar[str] = "apply"
    Parameters = StepParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        _note("start", context)
        ends_at = time.monotonic() + self.parameters.duration_ms / 1000
        while (left_s := ends_at - time.monotonic()) > 0:
            time.sleep(min(_TICK_S, left_s))
            context.check()
        if self.parameters.fails:
            raise StageError("this execution is one that fails")
        _note("end", context)
        return StageOutput([_marked(document, context) for document in documents])


def _marked(document: Document, context: StageContext) -> Document:
    marks = document.attached.get("marks", [])
    return document.with_attached(marks=[*marks, [context.attempt, context.stage_index]])


def _note(event: str, context: StageContext) -> None:
    """One line, on disk when this returns. The time is the machine's, whatever this process's clock says."""
    at_s = time.clock_gettime(time.CLOCK_REALTIME)
    line = f"{at_s:.6f} {event} {context.execution_id} {context.attempt} {context.stage_index}\n"
    descriptor = os.open(_LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
