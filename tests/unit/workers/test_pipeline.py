"""What the pipeline owns: the end of a run, its books, limits, and stages that misbehave."""

from __future__ import annotations

from typing import ClassVar

import orjson
import pytest

from shared import tokens
from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.models.document import Document
from shared.models.execution import Page
from tests.unit.workers.pipelines import NAMESPACE, SECRET, PrivateRun, claim, execute, fill, pipeline, stage
from workers.context import StageContext
from workers.lease.run import ExecutionLost
from workers.stages.base import Stage, StageOutput, StageParameters
from workers.stages.registry import load_all

BOOKS = ["col_books"]
SEARCH = stage(
    "search", "feature_search", searches=[{"feature_uri": "t", "lexical": True, "query": {"value": "trains"}}]
)
CRIME = stage("crime", "attribute_filter", field="year", operator="eq", value=2001)
SORT = stage("sort", "sort_attribute", field="year")


class Careless(Stage[StageParameters]):
    """Returns what JSON cannot hold: in its metadata, in a document, or in a warning."""

    stage_id: ClassVar[str] = "careless"
    category: ClassVar[str] = "enrich"
    Parameters = StageParameters
    where: ClassVar[str] = "metadata"

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        if self.where == "document":
            return StageOutput([document.with_attached(tags={1, 2}) for document in documents])
        if self.where == "warning":
            context.warn({1, 2})  # type: ignore[arg-type]
            return StageOutput(documents)
        return StageOutput(documents, {"tags": {1, 2}})


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> type[Careless]:
    monkeypatch.setitem(load_all(), "careless", Careless)
    return Careless


def test_progress_names_the_next_stage_once_each_stage_has_ended(store: DocumentStore) -> None:
    run = PrivateRun(claim(BOOKS))
    execute(store, [SEARCH, SORT, CRIME], BOOKS, run=run)
    assert run.published == [("sort", 1), ("crime", 2)]


def test_stages_that_the_engine_does_are_still_reported(store: DocumentStore) -> None:
    seen = execute(store, [CRIME, SEARCH, SORT], BOOKS)
    stages = seen["stage_statistics"]["stages"]
    assert list(stages) == ["crime", "search", "sort"]
    assert stages["search"]["metadata"] == {"pushed_down": True}
    assert (stages["sort"]["input_count"], stages["sort"]["output_count"]) == (3, 3)
    assert seen["completed"] == 3


def test_a_run_that_must_stop_writes_nothing(store: DocumentStore) -> None:
    run = PrivateRun(claim(BOOKS))
    run.stop = ExecutionLost("exec_1")
    with pytest.raises(ExecutionLost):
        pipeline(store, [SEARCH], BOOKS, run=run).run()
    assert run.published == []


def test_earlier_attempts_count_against_max_time_ms(store: DocumentStore) -> None:
    run = PrivateRun(claim(BOOKS, spent_ms=5000))
    seen = execute(store, [SEARCH], BOOKS, run=run, budget={"max_time_ms": 4000})
    assert seen["status"] == "failed"
    assert "max_time_ms exceeded" in seen["error"] and "of 4000 ms" in seen["error"]
    assert seen["budget"]["time_used_ms"] >= 5000


def test_a_result_over_the_limit_fails_with_both_sizes(store: DocumentStore) -> None:
    seen = execute(store, [SEARCH], BOOKS, result_max_bytes=1000)
    assert seen["status"] == "failed"
    assert "over the limit of 1,000" in seen["error"]
    assert list(seen["stage_statistics"]["stages"]) == ["search"]


@pytest.mark.parametrize(("size", "shown", "whole"), [(5, 5, 12), (12, 12, 0), (20, 12, 0)])
def test_only_a_result_of_several_pages_is_stored_apart(
    store: DocumentStore, size: int, shown: int, whole: int
) -> None:
    outcome = pipeline(store, [SORT], BOOKS, page=Page("cursor", size)).run()
    detail = orjson.loads(b"{" + outcome.detail[1:])
    assert (len(detail["documents"]), len(outcome.documents)) == (shown, whole)
    cursor = detail["pagination"]["cursor"]
    if whole:
        assert tokens.open_token(cursor, SECRET) == ["exec_1", size, size]
        assert [orjson.loads(row) for row in outcome.documents[:shown]] == detail["documents"]
    else:
        assert cursor is None


def test_metadata_that_is_no_json_fails_its_stage(store: DocumentStore, careless: type[Careless]) -> None:
    """It must not get as far as the keeper's thread, which sends progress and holds all leases."""
    seen = execute(store, [SEARCH, stage("careless", "careless"), SORT], BOOKS)
    assert seen["status"] == "failed"
    assert "stage 'careless' (index 1, careless) failed" in seen["error"]
    assert list(seen["stage_statistics"]["stages"]) == ["search", "careless"]


def test_a_warning_that_is_no_text_becomes_one(
    store: DocumentStore, careless: type[Careless], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(careless, "where", "warning")
    seen = execute(store, [stage("careless", "careless")], BOOKS)
    assert (seen["status"], seen["warnings"]) == ("completed", ["{1, 2}"])


def test_a_result_that_is_no_json_fails_and_keeps_what_ran(
    store: DocumentStore, careless: type[Careless], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(careless, "where", "document")
    seen = execute(store, [SEARCH, stage("careless", "careless")], BOOKS)
    assert seen["status"] == "failed"
    assert "doc_" in seen["error"] and "JSON" in seen["error"]
    assert list(seen["stage_statistics"]["stages"]) == ["search", "careless"]


def test_a_template_reads_earlier_stages_and_keeps_its_type(store: DocumentStore) -> None:
    cut = stage("cut", "feature_search", searches=[], final_top_k="{{STAGE.crime.output_count - 1}}")
    seen = execute(store, [CRIME, cut], BOOKS)
    assert (seen["error"], len(seen["documents"])) == (None, 2)


def test_a_collection_that_is_gone_fails_the_stage_that_asks_for_it(store: DocumentStore) -> None:
    seen = execute(store, [SEARCH], ["col_gone"])
    assert seen["status"] == "failed"
    assert seen["error"].startswith("stage 'search' (index 0, feature_search) failed:")
    assert "col_gone" in seen["error"]


def test_a_selection_takes_a_thousand_documents_of_each_collection(store: DocumentStore) -> None:
    for collection_id in ("col_large_1", "col_large_2"):
        fill(store, collection_id, {})
        rows = [DocumentWrite(f"doc_{number:04}", {"year": -number}) for number in range(1100)]
        store.upsert(CollectionRef(NAMESPACE, collection_id), rows)
    seen = execute(store, [stage("sort", "sort_attribute", field="year", direction="asc")],
                   ["col_large_1", "col_large_2"])  # fmt: skip
    assert seen["pagination"]["total"] == 2000
    assert seen["documents"][0]["document_id"] == "doc_1099"  # sorted before the cut
