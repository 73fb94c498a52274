"""Many executions that have ended: copies of one, made by the calls of the API and of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import redis

from benchmarks.figures import BenchError
from shared import ids
from shared.models.execution import Status
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.executions import ExecutionStore, Submission
from shared.stores.ledger import Ledger, Outcome

_BLOCK = 1_000  # submitted at once, then run: the queue never holds more
_SUBMIT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What each copy is submitted with and what its worker writes at the end."""

    submission: Submission
    outcome: Outcome

    def copy(self, execution_id: str) -> Submission:
        """The submission under another id, which its answer begins with."""
        ours, head = self.submission.execution_id.encode(), self.submission.head
        return replace(
            self.submission, execution_id=execution_id, head=head.replace(ours, execution_id.encode())
        )


def fill_history(
    client: redis.Redis, settings: Settings, sample: Sample, count: int, statuses: Sequence[Status]
) -> dict[str, Status]:
    """Submit `count` copies and end them in these terminal statuses, in turn.

    The queue must be empty, and no worker may run. Submits share packets, and each finish claims the next.

    Returns:
        Id -> how it ended.

    Raises:
        BenchError: something else took one of them.
    """
    ledger = Ledger(client, settings, "fill")
    made: dict[str, Status] = {}
    while len(made) < count:
        block = {
            ids.execution_id(): statuses[number % len(statuses)]
            for number in range(len(made), min(len(made) + _BLOCK, count))
        }
        asyncio.run(submit_copies(settings, sample, list(block)))
        _end(ledger, sample.outcome, block)
        made |= block
    return made


async def submit_copies(settings: Settings, sample: Sample, execution_ids: Sequence[str]) -> None:
    """As the API does, all at once."""
    link = RedisLink(settings.redis_url, timeout_s=_SUBMIT_TIMEOUT_S)
    try:
        store = ExecutionStore(link, settings)
        await asyncio.gather(*(store.submit(sample.copy(each)) for each in execution_ids))
    finally:
        await link.close()


def _end(ledger: Ledger, outcome: Outcome, block: Mapping[str, Status]) -> None:
    run = [each for each, status in block.items() if status is not Status.CANCELLED]
    for each in block.keys() - set(run):
        ledger.cancel(each, "cancelled on request")
    claim = ledger.claim(run[0]) if run else None
    ended = 0
    while claim is not None:
        last = replace(outcome, status=block[claim.execution_id])
        _, claim = ledger.finish(claim, last, claim_next=True)
        ended += 1
    if ended != len(run):
        raise BenchError(f"{ended} of {len(run)} executions ended; is another worker running?")
