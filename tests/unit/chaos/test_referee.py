"""The referee sees what is wrong, and nothing where all is well."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from shared.scripts import library_source
from tests.chaos.evidence import Evidence
from tests.chaos.ledger import END, START, Entry
from tests.chaos.load import Acknowledged, Sight
from tests.chaos.plan import STAGE_NAMES
from tests.chaos.referee import judge, repeated_stages
from tests.chaos.unfenced import unfenced

ID = "exec_1"
AT = "2026-01-31T09:30:00.000Z"


def answer(**over: Any) -> dict[str, Any]:
    """A completed execution whose stages ran in one attempt."""
    marks = [[1, 0], [1, 1], [1, 2]]
    return {
        "execution_id": ID,
        "status": "completed",
        "attempt": 1,
        "completed_at": AT,
        "documents": [{"marks": marks}],
        "resumed_from_stage": None,
        **over,
    }


def entries(*stages: tuple[int, int], begin_s: float = 0.0) -> list[Entry]:
    """Start and end of each (attempt, stage index), a second apart."""
    return [
        Entry(begin_s + 2 * number + later, event, ID, attempt, index)
        for number, (attempt, index) in enumerate(stages)
        for later, event in enumerate((START, END))
    ]


def evidence(**over: Any) -> Evidence:
    """One execution, one document and one batch without lines, all as they should be."""
    good = Evidence(
        acknowledged=Acknowledged({ID: 0.0}, {"doc_1"}, {"batch_1": 0}),
        answers={ID: answer()},
        first_sights={ID: Sight("completed", AT, 1)},
        ledger={ID: entries((1, 0), (1, 1), (1, 2))},
        documents={"doc_1": True},
        batches={"batch_1": {"submitted": 0, "finished": 0, "counts": {}}},
        listed=1,
        crashes=(),
    )
    return dataclasses.replace(good, **over)


def test_nothing_is_wrong_where_all_is_well() -> None:
    verdict = judge(evidence())
    assert (verdict.faults, verdict.statuses, verdict.stages_run_again) == ([], {"completed": 1}, 0)


def test_an_execution_without_an_end_is_lost() -> None:
    verdict = judge(evidence(answers={ID: answer(status="processing", completed_at=None)}, first_sights={}))
    assert verdict.faults == [f"{ID} has not ended"]


def test_an_end_that_changed_is_a_second_end() -> None:
    verdict = judge(evidence(first_sights={ID: Sight("failed", AT, 1)}))
    assert len(verdict.doubled) == 1


def test_the_result_of_another_attempt_is_seen() -> None:
    verdict = judge(
        evidence(
            answers={ID: answer(attempt=2)},
            first_sights={},
            ledger={ID: entries((1, 0), (1, 1), (1, 2), (2, 0))},
        )
    )
    assert verdict.doubled == [f"{ID} ended in attempt 2 with the result of attempt 1"]
    assert verdict.stages_run_again == 1


@pytest.mark.parametrize(
    "marks", [[[1, 0], [1, 1]], [[1, 0], [1, 1], [1, 1], [1, 2]], [[1, 1], [1, 0], [1, 2]]]
)
def test_a_result_that_is_not_of_each_stage_once_is_seen(marks: list[list[int]]) -> None:
    verdict = judge(evidence(answers={ID: answer(documents=[{"marks": marks}])}))
    assert len(verdict.doubled) == 1


def test_a_result_that_no_stage_wrote_down_is_seen() -> None:
    verdict = judge(evidence(ledger={ID: entries((1, 0), (1, 1))}))
    assert verdict.doubled == [f"{ID}: the ledger does not know of [(1, 2)]"]


def test_two_answers_that_contradict_each_other_are_seen() -> None:
    acknowledged = Acknowledged({ID: 0.0}, contradictions=["two keys were answered with exec_1"])
    assert judge(evidence(acknowledged=acknowledged)).doubled == ["two keys were answered with exec_1"]


@pytest.mark.parametrize("documents", [{}, {"doc_1": False}])
def test_a_document_that_is_gone_or_not_embedded_is_missing(documents: dict[str, bool]) -> None:
    assert len(judge(evidence(documents=documents)).missing) == 1


def test_counters_of_a_batch_that_do_not_balance_are_seen() -> None:
    batch = {"submitted": 0, "finished": 0, "counts": {"processing": 1}}
    assert len(judge(evidence(batches={"batch_1": batch})).missing) == 1


def test_an_execution_too_many_is_seen() -> None:
    assert len(judge(evidence(listed=2)).missing) == 1


def test_without_checkpoints_a_stage_may_run_again() -> None:
    assert repeated_stages(answer(attempt=2), entries((1, 0), (1, 1), (2, 0), (2, 1), (2, 2))) == []


def test_a_stage_before_the_checkpoint_must_not_run_again() -> None:
    resumed = answer(attempt=2, resumed_from_stage=STAGE_NAMES[1])
    assert repeated_stages(resumed, entries((1, 0), (1, 1), (2, 1), (2, 2))) == []
    assert repeated_stages(resumed, entries((1, 0), (1, 1), (2, 0), (2, 1), (2, 2))) == [0]


def test_an_earlier_attempt_that_wakes_up_must_not_run_it_either() -> None:
    resumed = answer(attempt=2, resumed_from_stage=STAGE_NAMES[2])
    assert repeated_stages(resumed, entries((1, 0), (2, 2), (1, 1))) == [1]


def test_the_fence_is_where_it_is_taken_out() -> None:
    source = library_source()
    assert unfenced(source) != source
    with pytest.raises(AssertionError, match="say here what the fence is now"):
        unfenced(unfenced(source))
