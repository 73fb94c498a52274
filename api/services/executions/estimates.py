"""What each stage of a retriever will probably do: medians of its last executions, else a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from shared.errors import InvalidInput
from shared.models.execution import StageProfile
from shared.plan import Catalogue
from shared.templates import Scope, render

# The tariff of stages that name no other, as workers/stages/base.py charges it (a test compares them).
CREDITS_PER_STAGE = 0.01
CREDITS_PER_INPUT_DOCUMENT = 0.0001

# Parameters that cut a stage's output to a number of documents.
_CUTS = ("final_top_k", "top_k", "limit")
_SEARCH_TOP_K = 100  # of a search that says nothing (contract, section 6)
_UNKNOWN = ("DOC", "CONTEXT", "STAGE", "SECRET")  # what templates see only while something runs
# Only the collections themselves are cut at this when no search does (contract, section 6).
_SELECTION_MAX = 1_000
# A guess for stages that have never run: about what BM25 and filters take here.
_STAGE_MS = 1.0
_DOCUMENT_MS = 0.005


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage, its parameters filled in as far as the inputs go."""

    index: int
    name: str
    stage_id: str
    category: str
    parameters: Mapping[str, Any]
    cut: int | None  # the most documents that its parameters let through
    documents_in: int
    documents_out: int
    duration_ms: float
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def credits(self) -> float:
        return round(CREDITS_PER_STAGE + CREDITS_PER_INPUT_DOCUMENT * self.documents_in, 6)


@dataclass(frozen=True, slots=True)
class Estimator:
    """Goes through the stages in order.

    Attributes:
        inputs: Hypothetical ones; a parameter whose input is not among them takes its default.
        documents: How many the collections hold.
        profiles: Of the newest executions of this version.
    """

    catalogue: Catalogue
    inputs: Mapping[str, Any]
    documents: int
    profiles: Sequence[StageProfile] = field(default_factory=list)

    def estimate(self, stages: Sequence[Mapping[str, Any]]) -> list[StageEstimate]:
        estimates: list[StageEstimate] = []
        for index, stage in enumerate(stages):
            estimates.append(self._stage(index, stage, estimates[-1].documents_out if estimates else None))
        return estimates

    def _stage(self, index: int, stage: Mapping[str, Any], before: int | None) -> StageEstimate:
        """`before` is the output of the stage before; None: the documents are still in the engine."""
        parameters, warnings = self._rendered(stage["parameters"])
        cut = self._cut(stage["stage_id"], parameters)
        seen = [profile[stage["stage_name"]] for profile in self.profiles if stage["stage_name"] in profile]
        notes = []
        if seen:
            count_in, count_out, duration_ms = _medians(seen, before)
            notes.append(f"median of {len(seen)} completed execution{'s' if len(seen) > 1 else ''}")
        else:
            looked_at = self.documents if before is None else before
            count_in, duration_ms = before or 0, _STAGE_MS + _DOCUMENT_MS * looked_at
            count_out = min(looked_at, _SELECTION_MAX) if before is None and cut is None else looked_at
            warnings.append(
                "no completed execution of this version is stored; guessed from the parameters and "
                f"{self.documents:,} documents, as if every document passed"
            )
        if cut is not None and cut < count_out:
            notes.append(f"cut at {cut}")
        return StageEstimate(
            index=index,
            name=stage["stage_name"],
            stage_id=stage["stage_id"],
            category=stage["stage_type"],
            parameters=parameters,
            cut=cut,
            documents_in=count_in,
            documents_out=count_out if cut is None else min(cut, count_out),
            duration_ms=round(duration_ms, 3),
            notes=notes,
            warnings=warnings,
        )

    def _rendered(self, parameters: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
        """The parameters that cut with the inputs in place, and a warning where that fails."""
        cutting = {name: parameters[name] for name in (*_CUTS, "searches") if name in parameters}
        rest = {name: value for name, value in parameters.items() if name not in cutting}
        try:
            rendered = render(cutting, Scope(inputs=self.inputs), loc=("parameters",), defer=_UNKNOWN) or {}
            return rest | rendered, []
        except InvalidInput as error:
            return parameters, [f"the parameters cannot be filled with these inputs: {error.message}"]

    def _cut(self, stage_id: str, parameters: Mapping[str, Any]) -> int | None:
        entry = self.catalogue.get(stage_id)
        properties = entry.parameter_schema.get("properties", {}) if entry else {}
        values = [parameters.get(name, properties.get(name, {}).get("default")) for name in _CUTS]
        cuts = [value for value in values if _is_count(value)]
        if searched := top_k_of_searches(parameters):
            cuts.append(searched)
        return min(cuts, default=None)


def _medians(seen: Sequence[tuple[int, int, float]], before: int | None) -> tuple[int, int, float]:
    """(documents in, documents out, ms); fewer come out in proportion when fewer come in than usual."""
    counts_in, counts_out, durations = zip(*seen, strict=True)
    count_in, count_out = median(counts_in), median(counts_out)
    if before is not None and before < count_in:
        count_in, count_out = before, count_out * before / count_in
    return round(count_in), round(count_out), float(median(durations))


def top_k_of_searches(parameters: Mapping[str, Any]) -> int | None:
    """The most documents that the searches of a stage find together; None without searches."""
    searches = parameters.get("searches")
    if not isinstance(searches, list) or not searches:
        return None
    found = [search.get("top_k", _SEARCH_TOP_K) for search in searches if isinstance(search, Mapping)]
    return sum(value for value in found if _is_count(value)) or None


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0
