"""Status, profile and explain: what is known of an execution, and what one would do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.contract.check import check_error
from tests.contract.scenes import (
    BY_YEAR,
    busy,
    expire,
    failing,
    keep,
    post_execute,
    read,
    retriever,
    run,
    search,
    unique,
    write,
)
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


def view(client: httpx.Client, made: str, execution_id: str, name: str) -> httpx.Response:
    return client.get(f"/retrievers/{made}/executions/{execution_id}/{name}")


def explain(client: httpx.Client, made: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/retrievers/{made}/execute/explain", json=body)
    assert answer.status_code == 200, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


# Status


def test_the_status_of_a_pending_one(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    with busy(service, client):
        execution_id = execute(client, made)
        seen = view(client, made, execution_id, "status").json()
    assert (seen["status"], seen["wait_reason"], seen["source"]) == ("pending", "queued", "record")
    assert (seen["current_stage"], seen["completed_stages"], seen["total_stages"]) == (None, [], 1)
    assert (seen["lease_expires_at"], seen["heartbeat_at"]) == (None, None)
    assert "documents" not in seen
    poll_until(client, made, execution_id, ended, "its turn")


def test_the_status_of_a_running_one(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, search("trains"), gate(name), collection_identifiers=["books"])
    execution_id = execute(client, made)
    poll_until(client, made, execution_id, lambda e: e["current_stage"] == name, "the gate")
    seen = view(client, made, execution_id, "status").json()
    assert (seen["status"], seen["current_stage"], seen["completed_stages"]) == (
        "processing", name, ["search"],
    )  # fmt: skip
    heartbeat, lease = (datetime.fromisoformat(seen[key]) for key in ("heartbeat_at", "lease_expires_at"))
    assert (lease - heartbeat).total_seconds() == 3  # KENNEL_LEASE_MS of the stack
    assert heartbeat >= datetime.fromisoformat(seen["started_at"])
    assert "documents" not in seen
    service.open(name)
    poll_until(client, made, execution_id, ended, "the end")


def test_the_status_of_an_ended_one_is_the_whole_answer(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), failing(on_error="skip"), collection_identifiers=["books"])
    execution_id = run(client, made)["execution_id"]
    seen = view(client, made, execution_id, "status").json()
    assert read(client, made, execution_id).json().items() <= seen.items()
    assert (seen["status"], seen["completed_stages"]) == ("degraded", ["search", "broken"])
    assert (seen["lease_expires_at"], seen["source"]) == (None, "record")


def test_a_failed_stage_is_no_completed_one(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), failing(), collection_identifiers=["books"])
    execution_id = run(client, made)["execution_id"]
    seen = view(client, made, execution_id, "status").json()
    assert (seen["status"], seen["completed_stages"], seen["stages_completed"]) == ("failed", ["search"], 1)


def test_after_its_expiry_the_status_is_its_line_of_the_history(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    execution_id = run(client, made, inputs={"query": "q"})["execution_id"]
    expire(service, execution_id)
    seen = view(client, made, execution_id, "status").json()
    assert (seen["status"], seen["source"], seen["stages_completed"]) == ("completed", "history", 1)
    assert (seen["execution_id"], seen["query_summary"], seen["completed_stages"]) == (
        execution_id,
        "q",
        None,
    )
    other = retriever(client, search("trains"), collection_identifiers=["books"])
    check_error(view(client, other, execution_id, "status"), 404)
    check_error(view(client, made, "exec_unknown", "status"), 404)


# Profile


def test_the_profile_counts_and_times_each_stage(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), keep("genre", "eq", "crime"), collection_identifiers=["books"])
    ended = run(client, made)
    seen = view(client, made, ended["execution_id"], "profile").json()
    assert (seen["status"], seen["attempt"], seen["retriever_id"]) == ("completed", 1, made)
    assert [(each["stage_index"], each["stage_name"]) for each in seen["stages"]] == [
        (0, "search"),
        (1, "keep"),
    ]
    statistics = ended["stage_statistics"]["stages"]
    for each in seen["stages"]:
        for field in ("input_count", "output_count", "duration_ms", "efficiency"):
            assert each[field] == statistics[each["stage_name"]][field]
    assert sum(each["share"] for each in seen["stages"]) == pytest.approx(1, abs=1e-5)
    slowest = max(statistics, key=lambda name: statistics[name]["duration_ms"])
    assert (seen["slowest_stage"], seen["optimizer"]) == (slowest, {"pushed_down": ["search", "keep"]})
    assert seen["total_time_ms"] == ended["stage_statistics"]["total_time_ms"]
    assert seen["queued_ms"] >= 0


def test_a_failed_stage_shows_its_error(client: httpx.Client) -> None:
    made = retriever(client, failing(), collection_identifiers=["books"])
    seen = view(client, made, run(client, made)["execution_id"], "profile").json()
    assert [each["stage_name"] for each in seen["stages"]] == ["broken"]
    assert "this stage always fails" in seen["stages"][0]["error"]


def test_no_profile_yet_and_no_more(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    with busy(service, client):
        execution_id = execute(client, made)
        envelope = check_error(view(client, made, execution_id, "profile"), 404)
        assert envelope.error.code == "no_profile"
    poll_until(client, made, execution_id, ended, "its turn")
    expire(service, execution_id)
    check_error(view(client, made, execution_id, "profile"), 410)
    check_error(view(client, made, "exec_unknown", "profile"), 404)


# Explain


def test_without_history_the_plan_says_that_it_guesses(client: httpx.Client) -> None:
    top_k = search("trains", final_top_k="{{INPUT.top_k}}")
    made = retriever(client, top_k, keep("genre", "eq", "crime"), BY_YEAR, collection_identifiers=["books"])
    plan = explain(client, made, inputs={"top_k": 7})
    assert (plan["retriever_id"], plan["total_estimated_stages"]) == (made, 3)
    assert plan["estimated_from"] == {"executions": 0, "documents": 45}
    entries = plan["execution_plan"]
    assert [(each["stage_index"], each["stage_name"], each["stage_type"]) for each in entries] == [
        (0, "search", "filter"), (1, "keep", "filter"), (2, "sort", "sort"),
    ]  # fmt: skip
    assert [(each["estimated_input"], each["estimated_output"]) for each in entries] == [
        (0, 7),
        (7, 7),
        (7, 7),
    ]
    assert [each["estimated_cost_credits"] for each in entries] == [0.01, 0.0107, 0.0107]
    assert plan["estimated_cost"]["total_credits"] == 0.0314
    assert all("no completed execution" in each["warnings"][0] for each in entries)
    assert explain(client, made)["execution_plan"][0]["estimated_output"] == 25  # the parameter's default
    assert [each["type"] for each in plan["optimization_suggestions"]] == ["filter_before_search"]
    assert client.post(f"/retrievers/{made}/executions/list").json()["pagination"]["total"] == 0


def test_with_history_the_numbers_are_its_medians(client: httpx.Client) -> None:
    before = keep("year", "lt", "{{INPUT.before}}", name="before")
    made = retriever(client, before, BY_YEAR, collection_identifiers=["books"])
    ran = [run(client, made, inputs={"before": 1970 + count}) for count in (1, 9, 4)]
    plan = explain(client, made)
    assert plan["estimated_from"] == {"executions": 3, "documents": 45}
    first, second = plan["execution_plan"]
    assert (first["estimated_input"], first["estimated_output"]) == (0, 4)
    assert (second["estimated_input"], second["estimated_output"]) == (4, 4)
    assert (second["estimated_efficiency"], second["cache_likely"]) == (1.0, False)
    durations = sorted(each["stage_statistics"]["stages"]["before"]["duration_ms"] for each in ran)
    assert first["estimated_duration_ms"] == durations[1]
    assert (first["warnings"], first["optimization_notes"]) == ([], ["median of 3 completed executions"])
    assert plan["estimated_cost"]["total_credits"] == 0.0204
    credits = sorted(each["budget"]["credits_used"] for each in ran)
    assert plan["estimated_cost"]["total_credits"] == credits[1]
    assert "before" in plan["bottleneck_stages"]


def test_a_failed_run_is_no_history(client: httpx.Client) -> None:
    made = retriever(client, failing(), collection_identifiers=["books"])
    run(client, made)
    assert explain(client, made)["estimated_from"]["executions"] == 0


def test_explain_refuses(client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    check_error(client.post(f"/retrievers/{made}/execute/explain", json={"inputs": []}), 422)
    check_error(client.post("/retrievers/unknown/execute/explain"), 404)
    assert explain(client, made, colour=1)["warnings"] == ["the key 'colour' is unknown and was ignored"]
    assert client.post(f"/retrievers/{made}/execute/explain").status_code == 200  # an empty body


@pytest.mark.parametrize("where", ["body", "query"])
def test_an_execution_can_carry_its_plan(client: httpx.Client, where: str) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    path = f"/retrievers/{made}/execute" + ("?explain=true" if where == "query" else "")
    body = {"explain": True} if where == "body" else {}
    seen = client.post(path, json=body, headers={"Prefer": "wait=20"}).json()
    assert seen["status"] == "completed"
    assert seen["explain_plan"]["execution_plan"][0]["stage_name"] == "sort"
    assert read(client, made, seen["execution_id"]).json()["explain_plan"] == seen["explain_plan"]
    assert "explain_plan" not in post_execute(client, made, {"explain": False}).json()


def test_a_deleted_collection_counts_nothing(client: httpx.Client) -> None:
    collection = unique("deleted")
    client.post("/collections", json={"collection_name": collection})
    write(client, collection, [{"document_id": "d", "year": 1}])
    made = retriever(client, BY_YEAR, collection_identifiers=["books", collection])
    assert explain(client, made)["estimated_from"]["documents"] == 46
    assert client.delete(f"/collections/{collection}").status_code == 200
    assert explain(client, made)["estimated_from"]["documents"] == 45
