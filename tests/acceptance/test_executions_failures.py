"""Budgets, failing and skipped stages: what the record says, and what it and the logs keep to themselves."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.check import check_execution
from tests.contract.scenes import document_ids, failing, keep, retriever, run, search, stage, unique
from tests.stack import API_KEY, Stack, gate

pytestmark = pytest.mark.usefixtures("books")


def test_max_credits_ends_the_run_and_keeps_what_ran(client: httpx.Client) -> None:
    made = retriever(
        client, search("trains"), stage("again", "sort_attribute"), keep("genre", "eq", "crime"),
        collection_identifiers=["books"], budget_limits={"max_credits": 0.015},
    )  # fmt: skip
    answer = run(client, made)
    seen = check_execution(answer)
    assert (seen.status, answer["partial_from_stage"]) == ("failed", "search")
    assert seen.error is not None and seen.error.startswith("max_credits exceeded: 0.0225 used of 0.015")
    assert "'again'" in seen.error
    assert list(seen.stage_statistics.stages) == ["search", "again"]
    assert (seen.stages_completed, len(seen.documents)) == (2, 20)
    assert (seen.budget.credits_used, seen.budget.credits_remaining) == (0.0225, 0)


def test_credits_that_just_suffice_do(client: httpx.Client) -> None:
    made = retriever(
        client, search("trains"), collection_identifiers=["books"], budget_limits={"max_credits": 0.01}
    )
    seen = check_execution(run(client, made))
    assert (seen.status, seen.budget.credits_remaining) == ("completed", 0)


def test_max_time_ms_ends_the_run_and_keeps_what_ran(client: httpx.Client) -> None:
    never = unique("never")
    made = retriever(
        client, search("trains"), stage("sort", "sort_attribute"), gate(never),
        collection_identifiers=["books"], budget_limits={"max_time_ms": 400},
    )  # fmt: skip
    seen = check_execution(run(client, made))
    assert seen.status == "failed"
    assert seen.error is not None
    assert "max_time_ms exceeded" in seen.error and "of 400 ms" in seen.error
    assert list(seen.stage_statistics.stages) == ["search", "sort"]
    assert seen.budget.time_used_ms >= 400


def test_a_failing_stage_is_named(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), failing("broken"), keep("genre", "eq", "crime"),
                     collection_identifiers=["books"])  # fmt: skip
    answer = run(client, made)
    seen = check_execution(answer)
    assert (seen.status, answer["partial_from_stage"]) == ("failed", "search")
    assert seen.error == "stage 'broken' (index 1, test_fail) failed: this stage always fails"
    assert list(seen.stage_statistics.stages) == ["search", "broken"]
    assert seen.stage_statistics.stages["broken"].error == seen.error
    assert (seen.stages_completed, seen.total_stages, len(seen.documents)) == (1, 3, 20)


def test_an_unforeseen_error_shows_its_kind_and_not_its_text(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"), failing(kind="unforeseen"), collection_identifiers=["books"])
    answer = run(client, made)
    assert answer["error"].startswith(
        "stage 'broken' (index 1, test_fail) failed: unexpected ZeroDivisionError"
    )
    assert "secret detail" not in str(answer)
    log = (service.directory / "service.log").read_text()
    assert "ZeroDivisionError" in log
    assert "secret detail" not in log


def test_a_value_that_does_not_fit_when_rendered(client: httpx.Client) -> None:
    made = retriever(
        client, search("trains", final_top_k="{{INPUT.top_k}}"), collection_identifiers=["books"]
    )
    seen = check_execution(run(client, made, inputs={"top_k": "many"}))
    assert seen.status == "failed"
    assert seen.error is not None
    assert "stage 'search' (index 0, feature_search) failed" in seen.error
    assert "final_top_k" in seen.error


def test_an_empty_query_is_an_error_unless_told_otherwise(client: httpx.Client) -> None:
    made = retriever(client, search(), collection_identifiers=["books"])
    seen = check_execution(run(client, made, inputs={"query": " "}))
    assert seen.status == "failed" and seen.error is not None and "query is empty" in seen.error
    lenient = search()
    lenient["config"]["parameters"]["searches"][0]["on_empty"] = "skip"
    made = retriever(client, lenient, collection_identifiers=["books"])
    assert run(client, made, inputs={"query": ""})["status"] == "completed"


@pytest.mark.parametrize("kind", ["stage", "unforeseen"])
def test_a_skipped_stage_passes_on_what_came_before(client: httpx.Client, kind: str) -> None:
    made = retriever(
        client, search("trains"), failing(kind=kind, on_error="skip"), keep("genre", "eq", "crime"),
        collection_identifiers=["books"],
    )  # fmt: skip
    answer = run(client, made, limit=100)
    seen = check_execution(answer)
    without = retriever(
        client, search("trains"), keep("genre", "eq", "crime"), collection_identifiers=["books"]
    )
    assert document_ids(answer) == document_ids(run(client, without, limit=100)) != []
    assert (seen.status, seen.error, seen.stages_completed) == ("degraded", None, 3)
    assert seen.degraded is not None
    entry = seen.degraded[0]
    assert (len(seen.degraded), entry.stage, entry.id) == (1, "broken", "test_fail")
    assert "index 1" in entry.reason and "secret" not in entry.reason
    assert seen.stage_statistics.stages["broken"].error == entry.reason


def test_a_search_that_is_skipped_costs_nothing(client: httpx.Client) -> None:
    made = retriever(client, {**search(), "on_error": "skip"}, collection_identifiers=["books"])
    answer = run(client, made, inputs={"query": ""})
    assert (answer["status"], answer["budget"]["credits_used"]) == ("degraded", 0)


def test_logs_hold_no_secret_and_no_document(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search(), failing(), collection_identifiers=["books"])
    run(client, made, inputs={"query": "trains wagons-lits"})
    logs = "".join((service.directory / f"{name}.log").read_text() for name in ("api", "service"))
    assert "execution.failed" in logs
    for secret in (API_KEY, "about trains", "wagons-lits"):
        assert secret not in logs
