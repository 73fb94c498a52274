"""What would make a retriever cheaper or better, where that can be told from its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from api.services.executions.estimates import StageEstimate, top_k_of_searches

Suggestion = dict[str, str]


def suggestions_for(stages: Sequence[StageEstimate]) -> list[Suggestion]:
    """Few, and each worth its change; `stage` names the stage to change."""
    return [*_filters_behind_searches(stages), *_unreachable_tops(stages), *_late_cuts(stages)]


def _filters_behind_searches(stages: Sequence[StageEstimate]) -> Iterator[Suggestion]:
    """A filter that only filters and sorts part from a search could stand before it."""
    search: StageEstimate | None = None
    for stage in stages:
        if stage.stage_id == "feature_search" and stage.parameters.get("searches"):
            search = stage
        elif search and stage.stage_id == "attribute_filter" and not _tests_score(stage.parameters):
            yield {
                "type": "filter_before_search",
                "stage": stage.name,
                "message": f"{stage.name!r} drops documents that {search.name!r} has chosen; in front "
                "of it, the filter runs inside the engine, and top_k counts matching documents only",
            }
        elif stage.category not in ("filter", "sort"):
            search = None


def _unreachable_tops(stages: Sequence[StageEstimate]) -> Iterator[Suggestion]:
    for stage in stages:
        final, found = stage.parameters.get("final_top_k"), top_k_of_searches(stage.parameters)
        if isinstance(final, int) and found is not None and final > found:
            yield {
                "type": "final_top_k_unreachable",
                "stage": stage.name,
                "message": f"{stage.name!r} keeps {final} documents (final_top_k), but its searches find at "
                f"most {found} (top_k); lower the one or raise the other",
            }


def _late_cuts(stages: Sequence[StageEstimate]) -> Iterator[Suggestion]:
    """Work on single documents right before most of them are dropped."""
    for stage, following in pairwise(stages):
        works_on_each = stage.category in ("enrich", "apply")
        if works_on_each and following.cut is not None and following.cut < stage.documents_out:
            yield {
                "type": "cut_earlier",
                "stage": stage.name,
                "message": f"{stage.name!r} works on {stage.documents_out} documents, of which "
                f"{following.name!r} keeps {following.cut}; cut first if it does not need what that adds",
            }


def _tests_score(parameters: Any) -> bool:
    if isinstance(parameters, Mapping):
        field = parameters.get("field")
        if isinstance(field, str) and field.split(".", 1)[0] == "score":
            return True
        return any(map(_tests_score, parameters.values()))
    return isinstance(parameters, list) and any(map(_tests_score, parameters))
