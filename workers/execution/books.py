"""The books of one run: what each stage did, what it cost, and the answer made of that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.models.execution import Budget, Claim, Detail, StageProfile, figures, pagination_of
from workers.execution.definition import PlannedStage


@dataclass(slots=True)
class StageEntry:
    """What the statistics say of one stage."""

    planned: PlannedStage
    behind_search: bool = False  # the engine does its work on a search's hits
    searches: bool = False  # its work is the search that the engine is asked
    begun: float = field(default_factory=time.perf_counter)
    input_count: int = 0
    output_count: int = 0
    duration_ms: float = 0.0
    credits: float = 0.0
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def restart_clock(self) -> None:
        """Leave out what went before: another stage accounts for it."""
        self.begun = time.perf_counter()

    def note(self, metadata: Mapping[str, Any]) -> None:
        """What the stage reports of itself. Raises TypeError when that is no JSON."""
        self.metadata.update(orjson.loads(orjson.dumps(metadata)))

    def end(self, error: str | None = None) -> None:
        """Stop its clock, and charge it if it completed."""
        self.duration_ms = (time.perf_counter() - self.begun) * 1000
        self.error = error
        if error is None:
            self.credits = self.planned.stage.credits_for(self.input_count)

    def statistics(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "input_count": self.input_count,
            "output_count": self.output_count,
            "duration_ms": round(self.duration_ms, 3),
            "efficiency": round(self.output_count / self.input_count, 6) if self.input_count else 0.0,
            "cache_hit": False,
            "stage_cache_hit": False,
        }
        if self.error is not None:
            body["error"] = self.error
        if self.metadata:
            body["metadata"] = self.metadata
        return body


class Books:
    """Written by the run's thread; the keeper's thread may read them in between."""

    def __init__(self, claim: Claim, budget: Budget) -> None:
        self._claim = claim
        self._budget = budget
        self._begun = time.monotonic()
        self.entries: list[StageEntry] = []
        self.credits_used = 0.0
        self.stages_completed = 0
        self.warnings = list(claim.request.warnings)
        self.relaxations: list[str] = []
        self.degraded: list[dict[str, Any]] = []
        self.facets: list[dict[str, Any]] = []
        self.awaiting_embedding: int | None = None  # documents that a vector search could not find yet
        self.partial_from_stage: str | None = None  # whose documents can be read before the end
        self.resumed_from_stage: str | None = None

    def spent_ms(self) -> float:
        """Run time over all attempts."""
        return self._claim.spent_ms + (time.monotonic() - self._begun) * 1000

    def enter(self, entry: StageEntry) -> None:
        """A stage has ended."""
        self.credits_used += entry.credits
        self.stages_completed += entry.error is None or entry.planned.skip_on_error
        self.entries.append(entry)
        self.facets = entry.metadata.get("facets", self.facets)
        awaiting = entry.metadata.get("awaiting_embedding")
        if awaiting is not None:
            self.awaiting_embedding = awaiting + (self.awaiting_embedding or 0)

    def restore(self, entry: StageEntry, counted: Mapping[str, Any]) -> None:
        """A stage that an earlier attempt ran: in the statistics, and paid."""
        for name, value in counted.items():
            setattr(entry, name, value)
        self.enter(entry)

    def note_skipped(self, entry: StageEntry) -> None:
        """`on_error: skip` let the run go on without the stage; it will end as degraded."""
        self.degraded.append(
            {
                "resource": "stage",
                "id": entry.planned.stage_id,
                "reason": entry.error,
                "next_step": "Repair the stage, or read the documents as they were before it.",
                "stage": entry.planned.name,
            }
        )

    def note_deadline(self, finished: PlannedStage, reason: str) -> None:
        """The time was over behind this stage; it will end as degraded."""
        self.degraded.append(
            {
                "resource": "execution",
                "id": self._claim.execution_id,
                "reason": f"{reason}; these are the documents of stage {finished.name!r}",
                "next_step": "Raise max_time_ms, or simplify the stages behind it.",
                "stage": finished.name,
            }
        )

    def budget_report(self) -> dict[str, Any]:
        return self._budget.report(self.credits_used, self.spent_ms())

    def statistics(self) -> dict[str, dict[str, Any]]:
        """By stage name, in the order in which they ended."""
        return {entry.planned.name: entry.statistics() for entry in self.entries}

    def profile(self) -> StageProfile:
        return {
            entry.planned.name: (entry.input_count, entry.output_count, round(entry.duration_ms, 3))
            for entry in self.entries
        }

    def detail(
        self,
        documents: Sequence[Any] | None = None,
        pagination: Mapping[str, Any] | None = None,
        *,
        is_result: bool = False,
    ) -> bytes:
        """The worker's part of the answer.

        Args:
            documents: None: there are none to show, not even an empty result.
            is_result: they are those of the last stage.
        """
        interpretation = dict(self._claim.request.interpretation)
        if self.relaxations:
            interpretation["relaxations"] = self.relaxations
        return Detail(
            budget=self.budget_report(),
            pagination=pagination or pagination_of(self._claim.request.page, 0, 0, None),
            stages=self.statistics(),
            total_time_ms=self.spent_ms(),
            credits_used=self.credits_used,
            documents=documents,
            degraded=self.degraded,
            warnings=self.warnings,
            interpretation=interpretation,
            facets=self.facets,
            completeness=self._completeness(),
            partial_from_stage=None if is_result else self.partial_from_stage,
            resumed_from_stage=self.resumed_from_stage,
        ).to_json()

    def _completeness(self) -> dict[str, str]:
        """Whether the vector searches saw every document; {} when there were none."""
        if self.awaiting_embedding is None:
            return {}
        word = "partial" if self.awaiting_embedding else "complete"
        return {"embeddings": word, "page": "complete", "overall": word}

    def figures(self, returned: int = 0) -> bytes:
        """The line in the history."""
        processed = sum(max(entry.input_count, entry.output_count) for entry in self.entries)
        return figures(credits_used=self.credits_used, processed=processed, returned=returned)

    def snapshot(self) -> tuple[bytes, bytes]:
        """(detail, figures) as they are now."""
        return self.detail(), self.figures()
