"""What a cancel is answered with."""

from __future__ import annotations

from typing import Literal

from api.schemas.execution_answers import CancelAnswer
from shared.settings import Settings
from shared.stores.executions import Cancellation

# Settings.pool -> how its workers end a stage.
_FORCED_BY: dict[str, Literal["exception", "process"]] = {"threads": "exception", "prefork": "process"}


def cancel_answer(settings: Settings, execution_id: str, done: Cancellation) -> CancelAnswer:
    """The receipt: what was found, and when a stage that goes on is ended by force."""
    is_stopping = done.outcome == "stopping"
    return CancelAnswer(
        execution_id=execution_id,
        status=done.status,
        outcome=done.outcome,
        stops_after=done.stops_after,
        forced_after_s=settings.cancel_grace_s if is_stopping else None,
        forced_by=_FORCED_BY[settings.pool] if is_stopping else None,
    )
