"""How a run ends early, and what is said of it."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

from shared.errors import KennelError
from shared.logs import log_event
from shared.models.execution import Budget, Claim, Detail, Status, figures, pagination_of
from shared.stores.ledger import Outcome
from workers.execution.definition import PlannedStage

log = logging.getLogger("kennel.pipeline")

_FRAMES_MAX = 6


class StageFailed(Exception):
    """A stage ended the execution; the message is the sentence that the record shows."""


def failed_before_start(claim: Claim, message: str) -> Outcome:
    """The outcome of an execution no stage of which could run."""
    pagination = pagination_of(claim.request.page, 0, 0, None)
    detail = Detail(budget=Budget().report(0.0, claim.spent_ms), pagination=pagination)
    return Outcome(Status.FAILED, message, 0, detail.to_json(), figures())


def without_stages(claim: Claim) -> Outcome:
    """The outcome of an execution that has none: it only looks at a metric."""
    detail = Detail(Budget().report(0.0, 0.0), pagination_of(claim.request.page, 0, 0, None), documents=())
    return Outcome(Status.COMPLETED, None, 0, detail.to_json(), figures())


def log_unforeseen(error: Exception, **fields: Any) -> None:
    """Where in the code it happened; never the exception's own text, which may quote a document."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}:{frame.name}" for frame in frames)
    log_event(log, "unforeseen", level=logging.ERROR, error=type(error).__name__, at=places, **fields)


def sentence_of(planned: PlannedStage, error: Exception) -> str:
    """What went wrong, where; the text of an unforeseen exception may hold anything, so it is left out."""
    if isinstance(error, KennelError):
        reason = error.message
    else:
        reason = f"unexpected {type(error).__name__}; the worker's log says where"
        log_unforeseen(error, stage=planned.name)
    return f"stage {planned.name!r} (index {planned.index}, {planned.stage_id}) failed: {reason}"
