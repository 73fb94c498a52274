"""What a run came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.chaos.faults import Kind
from tests.chaos.load import Sight
from tests.chaos.plan import Plan
from tests.chaos.referee import Verdict


@dataclass(frozen=True)
class Struck:
    """One fault that was over at `over_at_s` (since the epoch), with what must end for it to be healed."""

    kind: Kind
    target: str
    in_flight: int  # when it struck
    over_at_s: float
    execution_ids: frozenset[str]  # in flight when it was over, and the first accepted after it

    def recovery_s(self, ends: Mapping[str, Sight]) -> float:
        """Until the last of them had ended, run time included; infinite while one has not."""
        if not self.execution_ids <= ends.keys():
            return float("inf")
        ended_at = (datetime.fromisoformat(ends[each].completed_at) for each in self.execution_ids)
        return max(0.0, max(at.timestamp() for at in ended_at) - self.over_at_s)


@dataclass(frozen=True)
class Outcome:
    """All that the report needs."""

    plan: Plan
    submitted: int
    documents: int
    seconds: float
    struck: Sequence[tuple[Struck, float]]  # each with its recovery (s)
    verdict: Verdict
    stale_writes_refused: int
    unfenced: Sequence[str]  # what the referee found once the fence was taken out

    @property
    def slow(self) -> list[str]:
        """Recoveries beyond what the plan allows."""
        plan = self.plan
        return [
            f"{struck.kind.name} ({struck.target}): recovered after {recovery_s:.1f} s"
            for struck, recovery_s in self.struck
            if recovery_s > (plan.recovery_s if struck.kind.leaves_a_worker else plan.recovery_alone_s)
        ]

    @property
    def busy_faults(self) -> int:
        """Faults that struck with ten executions in flight, or more."""
        return sum(struck.in_flight >= 10 for struck, _ in self.struck)
