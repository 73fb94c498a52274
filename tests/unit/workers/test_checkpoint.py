"""Checkpoints: what a later attempt goes on with, and what can be read until then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from shared.documents import DocumentStore
from shared.models.document import Document
from tests.unit.workers.pipelines import PrivateRun, claim, execute, pipeline, stage
from workers.context import StageContext
from workers.execution import pipeline as pipeline_module
from workers.execution.checkpoint import input_hash
from workers.lease import run as run_module
from workers.lease.run import Checkpoint, Run
from workers.stages.base import Stage, StageOutput, StageParameters
from workers.stages.registry import load_all

BOOKS = ["col_books"]
ALL = stage("all", "feature_search", searches=[], final_top_k=1000)
CRIME = stage("crime", "attribute_filter", field="year", operator="eq", value=2001)
SORT = stage("sort", "sort_attribute", field="year", direction="desc")


class Counted(Stage[StageParameters]):
    """Counts its runs, attaches what it was given, and fails where it is told to."""

    stage_id: ClassVar[str] = "counted"
    category: ClassVar[str] = "enrich"
    Parameters = StageParameters
    runs: ClassVar[list[str]] = []
    fails: ClassVar[bool] = False

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        self.runs.append(context.stage_name)
        if self.fails:
            raise ZeroDivisionError
        return StageOutput([each.with_attached(seen=len(documents)) for each in documents], {"facets": []})


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setitem(load_all(), "counted", Counted)
    monkeypatch.setattr(Counted, "runs", [])
    return Counted


def states(store: DocumentStore, *stages: dict[str, Any], **request: Any) -> list[bytes | None]:
    run = PrivateRun(claim(BOOKS, **request))
    pipeline(store, stages, BOOKS, run=run).run()
    return run.states


def test_no_finished_stage_runs_again(store: DocumentStore, counted: type[Counted]) -> None:
    stages = [stage("first", "counted"), stage("second", "counted"), SORT]
    first, second = states(store, *stages)
    counted.runs.clear()
    seen = execute(store, stages, BOOKS, left_behind=first)
    assert (counted.runs, seen["resumed_from_stage"]) == (["second"], "second")
    counted.runs.clear()
    seen = execute(store, stages, BOOKS, left_behind=second)
    assert (counted.runs, seen["resumed_from_stage"]) == ([], "sort")
    assert (seen["completed"], seen["is_partial"], seen["partial_from_stage"]) == (3, False, None)
    assert seen["stage_statistics"]["credits_used"] == pytest.approx(sum(credits_of(seen)))


def credits_of(execution: dict[str, Any]) -> list[float]:
    """0.01 a stage and 0.0001 an input document."""
    stages = execution["stage_statistics"]["stages"].values()
    return [0.01 + 0.0001 * entry["input_count"] for entry in stages]


@pytest.mark.parametrize(
    "over", [{"inputs": {"a": 1}}, {"filters": {"year": 2001}}, {"return_vectors": True}]
)
def test_another_input_starts_from_the_beginning(
    store: DocumentStore, counted: type[Counted], over: dict[str, Any]
) -> None:
    stages = [stage("first", "counted"), SORT]
    [state] = states(store, *stages)
    seen = execute(store, stages, BOOKS, left_behind=state, **over)
    assert (counted.runs, seen["resumed_from_stage"]) == (["first", "first"], None)


def test_another_version_starts_from_the_beginning() -> None:
    ours = claim(BOOKS)
    for other in (replace(ours, version=2), replace(ours, retriever_id="x"), replace(ours, definition=b"{}")):
        assert input_hash(other) != input_hash(ours)
    assert input_hash(replace(ours, epoch=2, attempt=2, spent_ms=9)) == input_hash(ours)


@pytest.mark.parametrize("state", [b"", b"garbage", b"x\x9c"])
def test_what_cannot_be_read_starts_from_the_beginning(store: DocumentStore, state: bytes) -> None:
    seen = execute(store, [ALL, SORT], BOOKS, left_behind=state)
    assert (seen["status"], seen["resumed_from_stage"]) == ("completed", None)


def test_a_later_stage_still_reads_what_an_earlier_one_returned(store: DocumentStore) -> None:
    again = stage(
        "again", "attribute_filter", field="document_id", operator="in", value="{{STAGE.crime.documents}}"
    )
    again["parameters"]["value"] = "{{STAGE.crime.documents | map(attribute='document_id') | list}}"
    stages = [ALL, {**CRIME, "output_alias": "crimes"}, SORT, again]
    whole = execute(store, stages, BOOKS)
    for state in states(store, *stages):
        assert execute(store, stages, BOOKS, left_behind=state)["documents"] == whole["documents"]


def test_a_run_of_one_stage_keeps_nothing(store: DocumentStore) -> None:
    assert states(store, SORT) == []


def test_what_is_too_large_is_not_kept_and_said(
    store: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "STATE_MAX_BYTES", 10)
    run = PrivateRun(claim(BOOKS))
    seen = execute(store, [ALL, SORT], BOOKS, run=run)
    assert run.states == [None]
    assert [each for each in seen["warnings"] if "stage 'all' returned is too large to be kept" in each]


# What is shown of a run that ends early


def test_a_failure_shows_the_stage_before_it(
    store: DocumentStore, counted: type[Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    crimes = execute(store, [ALL, CRIME], BOOKS)["documents"]
    monkeypatch.setattr(counted, "fails", True)
    seen = execute(store, [ALL, CRIME, stage("broken", "counted")], BOOKS)
    assert (seen["status"], seen["is_partial"], seen["partial_from_stage"]) == ("failed", True, "crime")
    assert seen["documents"] == crimes != []
    assert seen["total_returned"] == seen["pagination"]["total"] == len(crimes)


def test_a_failure_of_the_first_stage_shows_nothing(
    store: DocumentStore, counted: type[Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted, "fails", True)
    seen = execute(store, [stage("broken", "counted"), SORT], BOOKS)
    assert (seen["status"], seen["is_partial"], seen["documents"]) == ("failed", False, [])


@pytest.mark.parametrize(("on_deadline", "status"), [("partial", "degraded"), ("fail", "failed")])
def test_out_of_time(
    store: DocumentStore,
    counted: type[Counted],
    monkeypatch: pytest.MonkeyPatch,
    on_deadline: str,
    status: str,
) -> None:
    made = pipeline(
        store,
        [ALL, stage("slow", "counted"), SORT],
        BOOKS,
        budget={"max_time_ms": 60_000, "on_deadline": on_deadline},
    )

    def too_slow(_: Counted, documents: list[Document], context: StageContext) -> StageOutput:
        made._max_time_ms = 0
        context.check()
        raise AssertionError("the check passed")

    monkeypatch.setattr(counted, "run", too_slow)
    outcome = made.run()
    assert outcome.status == status
    assert (outcome.error is None) == (status == "degraded")
    assert b'"partial_from_stage":"all"' in outcome.detail
    assert (b"these are the documents of stage 'all'" in outcome.detail) == (status == "degraded")


# When it is written


class Keeper:
    """Notes what a run asks for; time stands still."""

    progress_interval_s = 0.02
    lease_s = 10.0
    grace_is_over = False

    def __init__(self) -> None:
        self.ledger: Any = self
        self.asked: list[float] = []
        self.written: list[str] = []
        self.answer = True

    def flush_at(self, at: float) -> None:
        self.asked.append(at)

    def confirm(self, run: Run) -> None:
        raise AssertionError("the lease is not over")

    def checkpoint(self, _: Any, stage_name: str, *rest: Any) -> bool:
        self.written.append(stage_name)
        return self.answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time (monotonic s); it begins at 100."""
    now = [100.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])

    def put(at: float) -> None:
        now[0] = at

    return put


def checkpoint(name: str) -> Checkpoint:
    return Checkpoint(name, 1, lambda: b"[]", lambda: b"state", lambda: None)


def test_a_short_run_writes_none(clock: Callable[[float], None]) -> None:
    keeper = Keeper()
    run = Run(claim(BOOKS), keeper)
    for number in range(3):
        clock(100.0 + number * 0.05)
        run.keep(checkpoint(f"stage {number}"))
    run.close()
    clock(101.0)
    run.write_due(101.0)
    assert (keeper.written, run.has_checkpoint) == ([], False)


def test_behind_a_long_stage_it_is_written_at_once(clock: Callable[[float], None]) -> None:
    keeper = Keeper()
    run = Run(claim(BOOKS), keeper)
    clock(100.3)
    run.keep(checkpoint("long"))
    clock(100.4)
    run.keep(checkpoint("short"))
    assert (keeper.written, run.has_checkpoint) == (["long"], True)


def test_before_a_long_stage_the_keeper_writes_the_last_one(clock: Callable[[float], None]) -> None:
    keeper = Keeper()
    run = Run(claim(BOOKS), keeper)
    run.keep(checkpoint("first"))
    clock(100.1)
    run.keep(checkpoint("second"))
    assert run.due_at() == pytest.approx(100.2)
    run.write_due(100.19)
    assert keeper.written == []
    run.write_due(100.21)
    assert (keeper.written, run.due_at()) == (["second"], None)


def test_a_run_that_was_lost_is_told_by_its_checkpoint(clock: Callable[[float], None]) -> None:
    keeper = Keeper()
    keeper.answer = False
    run = Run(claim(BOOKS), keeper)
    clock(101.0)
    run.keep(checkpoint("late"))
    assert run.lost
