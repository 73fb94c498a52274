"""The model of an alert execution (contract 10.4) refuses what the field's client refuses, no more."""

from __future__ import annotations

from typing import Any

import pytest
from mixpeek.models.alert_execution_result import AlertExecutionResult
from pydantic import ValidationError

from tests.contract.models import AlertExecution

FIRED: dict[str, Any] = {
    "alert_id": "alt_1",
    "collection_id": "col_1",
    "execution_id": "exec_1",
    "triggered": True,
    "match_count": 1,
    "matches": [{"document_id": "doc_1", "score": 0.5, "matched_features": {"a": 1}, "metadata": {}}],
    "source_documents": ["doc_2"],
    "executed_at": "2026-01-31T09:30:00.123Z",
    "duration_ms": 12,
    "deliveries": [{"channel_type": "webhook", "status": "delivered"}],
}
QUIET = {
    "alert_id": "alt_1",
    "collection_id": "",
    "triggered": False,
    "match_count": 0,
    "executed_at": "2026-01-31T09:30:00Z",
    "duration_ms": 0,
}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in FIRED.items() if key != name}


@pytest.mark.parametrize("answer", [FIRED, QUIET, {**FIRED, "matches": None, "deliveries": None}])
def test_both_accept(answer: dict[str, Any]) -> None:
    assert AlertExecution.model_validate(answer).match_count == answer["match_count"]
    assert AlertExecutionResult.from_dict(answer).match_count == answer["match_count"]


@pytest.mark.parametrize(
    "answer",
    [
        *map(
            without, ("alert_id", "collection_id", "triggered", "match_count", "executed_at", "duration_ms")
        ),
        {**FIRED, "collection_id": None},
        {**FIRED, "match_count": -1},
        {**FIRED, "duration_ms": 12.5},
        {**FIRED, "triggered": "yes"},
        {**FIRED, "matches": [{"document_id": "doc_1", "score": 1.5}]},
        {**FIRED, "matches": [{"score": 0.5}]},
        {**FIRED, "deliveries": [{"channel_type": "webhook"}]},
    ],
)
def test_both_refuse(answer: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertExecution.model_validate(answer)
    with pytest.raises(ValidationError):
        AlertExecutionResult.from_dict(answer)
