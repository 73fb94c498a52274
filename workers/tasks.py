"""The body of the Celery task: claim, run, finish; and, in a chain, the next one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shared.logs import log_event
from shared.models.execution import Claim
from shared.stores.ledger import Outcome
from workers.process import WorkerProcess, is_failure

log = logging.getLogger("kennel.worker")

# A chain ends after this, so that Celery gets its thread back for control and shutdown.
_CHAIN_MAX_S = 1.0
_CHAIN_MAX = 200


class ExecutionFailed(Exception):
    """Makes the Celery task fail, in one line, where its record failed."""


def run_execution(process: WorkerProcess, execution_id: str, *, chain: bool) -> None:
    """Run what the message names, unless somebody else does or has.

    With `chain`, each finish claims the next execution in the same round trip, for about a second.

    Raises:
        ExecutionFailed: the execution ended as failed (never in a chain, whose task is not about one).
    """
    if process.keeper.stopping:
        return  # the record stays pending, and the sweep sends its message again
    claim = process.ledger.claim(execution_id)
    ends_at = time.monotonic() + _CHAIN_MAX_S
    count = 0
    outcome: Outcome | None = None

    def go_on() -> bool:
        return chain and count < _CHAIN_MAX and time.monotonic() < ends_at and not process.keeper.stopping

    while claim is not None:
        count += 1
        outcome, claim = _run(process, claim, go_on)
    if not chain and is_failure(outcome):
        raise ExecutionFailed(outcome.error if outcome else "")


def _run(
    process: WorkerProcess, claim: Claim, go_on: Callable[[], bool]
) -> tuple[Outcome | None, Claim | None]:
    begun = time.monotonic()
    outcome, following = process.run_claimed(claim, claim_next=go_on)
    if outcome is not None:
        log_event(
            log,
            f"execution.{outcome.status}",
            execution_id=claim.execution_id,
            retriever_id=claim.retriever_id,
            attempt=claim.attempt,
            stages_completed=outcome.stages_completed,
            duration_ms=(time.monotonic() - begun) * 1000,
        )
    return outcome, following
