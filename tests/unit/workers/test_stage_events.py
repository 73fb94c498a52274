"""What a run tells of its stages, in which order, and how much of the documents."""

from __future__ import annotations

import orjson
import pytest

from shared.documents import DocumentStore
from shared.models.execution import Page
from tests.unit.workers.pipelines import PrivateRun, claim, execute, stage
from tests.unit.workers.test_pipeline import BOOKS, CRIME, SEARCH, SORT, Careless, careless
from workers.execution import stage_events

__all__ = ["careless"]  # a fixture

BROKEN = stage("broken", "careless")


def told(run: PrivateRun) -> list[tuple[str, str, int]]:
    return [(event_type, members["stage_name"], members["stage_index"]) for event_type, members in run.told]


def test_each_stage_starts_when_the_one_before_has_ended(store: DocumentStore) -> None:
    run = PrivateRun(claim(BOOKS))
    execute(store, [SEARCH, SORT], BOOKS, run=run)
    assert told(run) == [  # the start of the first one is its claim
        ("stage_complete", "search", 0),
        ("stage_start", "sort", 1),
        ("stage_complete", "sort", 1),
    ]
    _, first = run.told[0]
    assert first["statistics"]["output_count"] == 12
    assert (first["budget_used"]["credits_used"], first["budget_used"]["tokens_used"]) == (0.01, 0)
    assert "documents" not in first


def test_who_asked_for_a_stream_sees_the_first_page_so_far(store: DocumentStore) -> None:
    run = PrivateRun(claim(BOOKS, stream=True, page=Page("cursor", 5)))
    seen = execute(store, [SORT, CRIME], BOOKS, run=run)
    shown = [members["documents"] for event_type, members in run.told if event_type == "stage_complete"]
    assert [len(each) for each in shown] == [min(5, len(seen["documents"]))] * 2  # one question to the engine
    assert shown[1] == seen["documents"][:5]


def test_documents_stop_where_an_event_is_full(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = execute(store, [SORT], BOOKS)["documents"]
    monkeypatch.setattr(stage_events, "_DOCUMENTS_MAX_BYTES", sum(len(orjson.dumps(d)) for d in whole[:3]))
    run = PrivateRun(claim(BOOKS, stream=True))
    execute(store, [SORT], BOOKS, run=run)
    assert run.told[-1][1]["documents"] == whole[:3]


def test_a_failed_stage_is_an_error_and_a_skipped_one_lets_the_run_go_on(
    store: DocumentStore, careless: type[Careless]
) -> None:
    run = PrivateRun(claim(BOOKS))
    execute(store, [SEARCH, BROKEN, SORT], BOOKS, run=run)
    assert told(run)[-1] == ("stage_error", "broken", 1)
    assert run.told[-1][1]["error"].startswith("stage 'broken' (index 1, careless) failed")
    skipping = PrivateRun(claim(BOOKS))
    execute(store, [SEARCH, {**BROKEN, "on_error": "skip"}, SORT], BOOKS, run=skipping)
    assert told(skipping)[2:] == [
        ("stage_error", "broken", 1),
        ("stage_start", "sort", 2),
        ("stage_complete", "sort", 2),
    ]


def test_what_is_no_json_is_left_out_of_the_event(
    store: DocumentStore, careless: type[Careless], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(careless, "where", "document")
    run = PrivateRun(claim(BOOKS, stream=True))
    execute(store, [SEARCH, BROKEN], BOOKS, run=run)
    assert run.told[-1][1]["documents"] == []
