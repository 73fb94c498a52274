"""What must hold of an execution beyond the shape of its answer, whatever its state."""

from __future__ import annotations

from typing import Any

import httpx

from tests.contract.models import TERMINAL, AdhocDetail, ErrorEnvelope, ExecutionDetail, ExecutionList

ROUNDING_MS = 0.1


def check_execution(answer: dict[str, Any]) -> ExecutionDetail:
    """The answer as the contract's model; fails where its parts contradict each other."""
    seen = ExecutionDetail.model_validate(answer)
    assert seen.stages_completed <= seen.total_stages
    assert (seen.completed_at is not None) == (seen.status in TERMINAL)
    assert (seen.error is not None) == (seen.status in ("failed", "cancelled"))
    if seen.status in ("completed", "degraded"):
        assert bool(seen.degraded) == (seen.status == "degraded")
    assert (seen.current_stage is not None) == (seen.status == "processing")
    assert seen.documents_retained == (seen.status in ("completed", "degraded") or answer["is_partial"])
    assert (answer["partial_from_stage"] is not None) == answer["is_partial"]
    assert seen.total_returned == len(seen.documents) == seen.pagination.returned <= seen.pagination.total
    statistics = seen.stage_statistics
    assert len(statistics.stages) <= seen.total_stages
    assert statistics.credits_used == seen.budget.credits_used
    assert (
        sum(each.duration_ms for each in statistics.stages.values()) <= statistics.total_time_ms + ROUNDING_MS
    )
    return seen


def check_adhoc(answer: dict[str, Any]) -> AdhocDetail:
    """The answer of a GET of an ad-hoc execution: the contract's members, and those of any execution."""
    seen = AdhocDetail.model_validate(answer)
    execution = check_execution(answer)
    assert seen.timestamp == execution.created_at
    assert seen.credits_used == execution.stage_statistics.credits_used
    assert seen.duration_ms == execution.stage_statistics.total_time_ms
    assert seen.total_processed >= seen.total_returned == len(execution.documents)
    assert seen.stages_completed <= seen.total_stages
    return seen


def check_list(answer: dict[str, Any]) -> ExecutionList:
    """A page of the history; `has_next` agrees with the counts."""
    page = ExecutionList.model_validate(answer)
    assert len(page.results) <= page.pagination.limit
    shown_until = page.pagination.offset + len(page.results)
    assert page.pagination.has_next == (shown_until < page.pagination.total)
    assert all(each.total_processed >= each.total_returned for each in page.results)
    return page


def check_error(answer: httpx.Response, status: int) -> ErrorEnvelope:
    """The one envelope, with the status of the HTTP answer, and no trace of the inside."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    envelope = ErrorEnvelope.model_validate(answer.json())
    assert envelope.status == status
    assert "Traceback" not in answer.text and 'File "' not in answer.text
    return envelope


def places(envelope: ErrorEnvelope) -> list[str]:
    """The failing fields that a 422 names, dotted: "stages.0.config.stage_id"."""
    errors = (envelope.error.details or {}).get("validation_errors", [])
    return [".".join(map(str, error["loc"])) for error in errors]
