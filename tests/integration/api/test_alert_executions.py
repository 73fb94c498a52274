"""Executions of alerts over HTTP: started on demand, read, listed, cancelled, and how channels were told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
import redis

from shared import keys
from shared.clock import utc_now_iso
from shared.models.alert_run import Evaluation
from shared.models.delivery import Attempt, TakenDelivery
from shared.settings import Settings
from shared.stores.delivery_queue import DeliveryQueue
from shared.stores.ledger import Ledger, Outcome
from shared.vault import Vault
from tests.contract.models import AlertExecution
from tests.integration.api.answers import ok, places, refused, retriever
from tests.integration.api.test_alerts import HOOK, SLACK, application, body, constant
from tests.waiting import wait_until

MATCH = {"document_id": "dune", "score": 0.5, "metadata": {"year": 1965}}
DETAIL = b',"documents":[]}'
FIGURES = b'"credits_used":0.0,"total_processed":1,"total_returned":1,"cache_hit_rate":0.0'

# Ends an execution as a worker does; it fires where the condition holds.
End = Callable[..., None]


@pytest.fixture
def alert(api: httpx.Client) -> str:
    """Id of an alert with two channels, which has all inputs that it needs."""
    schema = {"query": {"type": "string", "required": True}, "year": {"type": "integer"}}
    ok(api.post("/v1/retrievers", json=retriever("watched", input_schema=schema)))
    told = {"channels": [HOOK, SLACK]}
    made = ok(api.post("/v1/alerts", json=body(inputs={"query": "sand"}, notification_config=told)))
    alert_id: str = made["alert_id"]
    return alert_id


@pytest.fixture
def end(redis_client: redis.Redis, settings: Settings) -> End:
    ledger = Ledger(redis_client, settings, "worker-of-the-test")

    def call(execution: dict[str, Any], *, holds: bool = True, failed: bool = False) -> None:
        claim = ledger.claim(execution["execution_id"])
        assert claim is not None
        assert claim.alert is not None
        finding = {"triggered": holds, "match_count": int(holds), "matches": [MATCH] if holds else []}
        evaluation = Evaluation(
            finding=orjson.dumps(finding),
            holds=holds,
            kind="level",
            source=claim.alert.collection_id,
            cooldown_s=0,
            renotify_s=None,
            payload=b'{"event_type":"alert.triggered"}',
            lanes=[(f"{claim.alert.alert_id}/{number}", 1000) for number in range(2)],
        )
        shown = b',"triggered":%s,"match_count":%d' % (b"true" if holds else b"false", holds)
        outcome = (
            Outcome("failed", "the stage fell", 0, DETAIL, FIGURES)
            if failed
            else Outcome("completed", None, 1, DETAIL, FIGURES + shown, evaluation=evaluation)
        )
        assert ledger.finish(claim, outcome, claim_next=False) == (True, None)

    return call


def started(api: httpx.Client, alert: str, **asked: Any) -> dict[str, Any]:
    response = api.post(f"/v1/alerts/{alert}/execute", json=asked)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/v1/alerts/executions/{answer['execution_id']}"
    return answer


def seen(api: httpx.Client, execution: dict[str, Any]) -> dict[str, Any]:
    """As it is now; every answer is as the contract says."""
    answer: dict[str, Any] = ok(api.get(f"/v1/alerts/executions/{execution['execution_id']}"))
    assert AlertExecution.model_validate(answer).execution_id == execution["execution_id"]
    return answer


def ids(api: httpx.Client, path: str, **query: Any) -> list[str]:
    return [each["execution_id"] for each in ok(api.get(path, params=query))["results"]]


def test_an_alert_is_executed_on_demand(api: httpx.Client, alert: str, end: End) -> None:
    execution = started(api, "dune%20again")
    shown = dict(execution)
    assert shown.pop("executed_at") <= utc_now_iso()
    assert shown.pop("execution_id").startswith("exec_")
    assert shown == {
        "alert_id": alert,
        "collection_id": "",
        "status": "pending",
        "mode": "on_demand",
        "triggered": False,
        "match_count": 0,
        "matches": None,
        "source_documents": [],
        "duration_ms": 0,
        "due_at": None,
        "is_late": False,
        "deliveries": None,
        "error": None,
        "warnings": [],
    }
    end(execution)
    after = seen(api, execution)
    assert (after["status"], after["triggered"], after["match_count"]) == ("completed", True, 1)
    assert after["matches"] == [{**MATCH, "asset_id": None, "matched_features": None}]
    assert after["deliveries"] == [
        {"channel_type": each, "status": "deferred", "error": None} for each in ("webhook", "slack")
    ]
    assert ok(api.get(f"/v1/alerts/{alert}"))["last_fired_at"] is not None
    assert ok(api.get(f"/v1/alerts/{alert}/results")) == after
    # It is also an execution of its retriever.
    own = ok(api.get(f"/v1/retrievers/watched/executions/{execution['execution_id']}"))
    assert own["status"] == "completed"


def test_the_inputs_are_those_of_the_alert_of_the_attachment_and_of_the_request(
    api: httpx.Client, alert: str, redis_client: redis.Redis
) -> None:
    mapped = application(execution_mode="on_demand", input_mappings=[constant("year", 1965)])
    made = {"collection_name": "novels", "alert_applications": [mapped]}
    novels = ok(api.post("/v1/collections", json=made))["collection_id"]

    def inputs(**asked: Any) -> Any:
        execution = started(api, alert, **asked)
        stored = redis_client.hget(keys.execution(execution["execution_id"]), "request")
        return execution["collection_id"], orjson.loads(stored or b"")["inputs"]

    assert inputs() == ("", {"query": "sand"})
    assert inputs(collection_id="novels") == (novels, {"query": "sand", "year": 1965})
    assert inputs(collection_id=novels, inputs={"year": 1}) == (novels, {"query": "sand", "year": 1})


@pytest.mark.parametrize(
    ("asked", "place", "words"),
    [
        ({"inputs": {"year": "x"}}, ["inputs", "year"], "not an integer"),
        ({"inputs": {"yaer": 1}}, ["inputs", "yaer"], "no input"),
        ({"collection_id": "nowhere"}, ["collection_id"], "no collection"),
        ({"collection_id": "novels"}, ["collection_id"], "not attached there as on_demand"),
    ],
)
def test_what_could_not_run_on_demand_is_refused(
    api: httpx.Client, alert: str, asked: dict[str, Any], place: list[str], words: str
) -> None:
    made = {"collection_name": "novels", "alert_applications": [application()]}
    ok(api.post("/v1/collections", json=made))
    assert places(refused(api.post(f"/v1/alerts/{alert}/execute", json=asked), 422, words)) == [place]
    assert ids(api, "/v1/alerts/executions") == []


def test_a_disabled_alert_and_a_system_alert_are_not_executed(api: httpx.Client, alert: str) -> None:
    ok(api.patch(f"/v1/alerts/{alert}", json={"enabled": False}))
    error = refused(api.post(f"/v1/alerts/{alert}/execute"), 409, "switched off")
    assert error["code"] == "alert_disabled"
    system = {"source": "system", "system_condition": {"type": "batch_error_rate"}, "retriever_id": None}
    ok(api.post("/v1/alerts", json=body(name="errors", **system)))
    refused(api.post("/v1/alerts/errors/execute"), 422, "on its schedule only")


def test_the_same_idempotency_key_starts_one(api: httpx.Client, alert: str) -> None:
    headers = {"Idempotency-Key": "monday"}
    path = f"/v1/alerts/{alert}/execute"
    first, again = (api.post(path, json={"inputs": {"year": 1}}, headers=headers).json() for _ in range(2))
    assert first == again
    refused(api.post(path, json={"inputs": {"year": 2}}, headers=headers), 422, "another body")
    assert ids(api, f"/v1/alerts/{alert}/executions") == [first["execution_id"]]


def test_lists_are_newest_first_and_go_on_behind_a_cursor(api: httpx.Client, alert: str, end: End) -> None:
    ok(api.post("/v1/alerts", json=body(name="other", inputs={"query": "a"})))
    runs = [started(api, alert) for _ in range(3)]
    foreign = started(api, "other")
    for run in runs:
        end(run)
    newest = [run["execution_id"] for run in reversed(runs)]
    assert ids(api, f"/v1/alerts/{alert}/executions") == newest
    assert ids(api, "/v1/alerts/executions") == [foreign["execution_id"], *newest]
    assert ids(api, "/v1/alerts/executions", offset=1, limit=1) == [newest[0]]
    for path, all_of_it in (
        (f"/v1/alerts/{alert}/executions", newest),
        ("/v1/alerts/executions", [foreign["execution_id"], *newest]),
    ):
        page = ok(api.get(path, params={"limit": 2, "include_total": True}))
        assert (page["total_count"], page["pagination"]["total"]) == (len(all_of_it), len(all_of_it))
        assert all(each["matches"] is None for each in page["results"])
        rest = ids(api, path, limit=2, cursor=page["pagination"]["next_cursor"])
        assert [each["execution_id"] for each in page["results"]] + rest == all_of_it
    refused(api.get("/v1/alerts/executions", params={"cursor": "nonsense"}), 400)


def test_a_result_is_that_of_the_newest_that_went_through(api: httpx.Client, alert: str, end: End) -> None:
    path = f"/v1/alerts/{alert}/results"
    refused(api.get(path), 404, "no result yet")
    first = started(api, alert)
    refused(api.get(path), 404, "no result yet")
    end(first, holds=False)
    assert ok(api.get(path)) == seen(api, first)
    broken = started(api, alert)
    end(broken, failed=True)
    assert ok(api.get(path))["execution_id"] == first["execution_id"]
    failed = seen(api, broken)
    assert (failed["status"], failed["error"], failed["deliveries"]) == ("failed", "the stage fell", None)


def test_one_that_was_cancelled_tells_nobody(api: httpx.Client, alert: str) -> None:
    execution = started(api, alert)
    cancel = f"/v1/alerts/executions/{execution['execution_id']}/cancel"
    assert ok(api.post(cancel))["outcome"] == "removed_from_queue"
    assert ok(api.post(cancel))["outcome"] == "already_terminal"
    after = seen(api, execution)
    assert (after["status"], after["triggered"], after["deliveries"]) == ("cancelled", False, None)


def test_what_has_expired_is_gone_but_stays_in_the_list(
    api: httpx.Client, alert: str, end: End, redis_client: redis.Redis
) -> None:
    execution = started(api, alert)
    end(execution)
    redis_client.delete(keys.execution(execution["execution_id"]))  # as its retention ends
    path = f"/v1/alerts/executions/{execution['execution_id']}"
    error = refused(api.get(path), 410, "has expired")
    assert (error["details"]["triggered"], error["details"]["match_count"]) == (True, 1)
    [line] = ok(api.get(f"/v1/alerts/{alert}/executions"))["results"]
    assert (line["triggered"], line["match_count"], len(line["deliveries"])) == (True, 1, 2)
    assert ok(api.get(f"/v1/alerts/{alert}/results")) == line


def test_an_execution_is_seen_in_its_namespace_only_and_goes_with_its_alert(
    root: httpx.Client, api: httpx.Client, alert: str, end: End
) -> None:
    execution = started(api, alert)
    path = f"/v1/alerts/executions/{execution['execution_id']}"
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"other-{alert}"}))
    elsewhere = {"X-Namespace": other["namespace_id"]}
    refused(api.get(path, headers=elsewhere), 404, "no alert here")
    refused(api.post(f"{path}/cancel", headers=elsewhere), 404)
    assert ok(api.get("/v1/alerts/executions", headers=elsewhere))["results"] == []
    ok(api.delete(f"/v1/alerts/{alert}"))
    refused(api.get(path), 404, "no alert here")
    own = ok(api.get(f"/v1/retrievers/watched/executions/{execution['execution_id']}"))
    assert (own["status"], own["error"]) == ("cancelled", "cancelled: its alert was deleted")
    assert ok(api.get("/v1/alerts/executions"))["total_count"] == 0


def test_an_execution_of_a_retriever_is_none_of_an_alert(api: httpx.Client, alert: str) -> None:
    plain = ok(api.post("/v1/retrievers/watched/execute", json={"inputs": {"query": "a"}}))
    refused(api.get(f"/v1/alerts/executions/{plain['execution_id']}"), 404, "no alert here")


def test_an_execution_of_an_alert_is_a_task(api: httpx.Client, alert: str, end: End) -> None:
    execution_id = started(api, alert)["execution_id"]

    def listed() -> list[str]:
        tasks = ok(api.post("/v1/tasks/list", params={"limit": 50}))["results"]
        own = [
            each for each in tasks if each["additional_data"]["namespace_id"] == api.headers["X-Namespace"]
        ]
        return [each["task_id"] for each in own]

    assert listed() == [execution_id]
    assert ok(api.delete(f"/v1/tasks/{execution_id}"))["success"] is True
    assert listed() == [execution_id]
    assert seen(api, {"execution_id": execution_id})["status"] == "cancelled"


def test_what_a_namespace_held_goes_with_it(
    root: httpx.Client, api: httpx.Client, alert: str, redis_client: redis.Redis
) -> None:
    ok(api.patch(f"/v1/alerts/{alert}", json={"schedule": {"interval_seconds": 3_600}}))
    ok(api.post("/v1/collections", json={"collection_name": "novels", "alert_applications": [application()]}))
    namespace = api.headers["X-Namespace"]
    assert redis_client.zscore(keys.ALERT_DUE, alert) is not None
    ok(root.delete(f"/v1/namespaces/{namespace}"))
    wait_until(lambda: not redis_client.hexists(keys.DELETING, namespace), 10, "the purge to end")
    assert redis_client.zscore(keys.ALERT_DUE, alert) is None
    assert list(redis_client.scan_iter(f"*{alert}*")) == []
    assert list(redis_client.scan_iter(f"kennel:*:alert:{namespace}")) == []


# --- whom it told ----------------------------------------------------------------------------------------


def taken(queue: DeliveryQueue, alert: str) -> list[TakenDelivery]:
    """What is due for the alert, by channel; others in the same Redis are left to be tried again."""
    found = []
    while (each := queue.take()) is not None:
        if each.lane.owner_id == alert:
            found.append(each)
    return sorted(found, key=lambda each: each.lane.channel)


def test_deliveries_say_how_each_channel_was_told(
    api: httpx.Client, alert: str, end: End, redis_client: redis.Redis, settings: Settings
) -> None:
    execution = started(api, alert)
    end(execution)
    queue = DeliveryQueue(redis_client, settings, Vault(settings.data_dir))
    hook, slack = taken(queue, alert)
    queue.settle(hook, "failed", Attempt(attempted_at=utc_now_iso(), duration_ms=3, error="answered 500"))
    queue.settle(slack, "delivered", Attempt(attempted_at=utc_now_iso(), duration_ms=3, status_code=200))
    assert seen(api, execution)["deliveries"] == [
        {"channel_type": "webhook", "status": "failed", "error": "answered 500"},
        {"channel_type": "slack", "status": "delivered", "error": None},
    ]
    path = f"/v1/alerts/{alert}/deliveries"
    assert ok(api.get(path))["total"] == 2
    [failed] = ok(api.get(path, params={"status": "failed"}))["results"]
    assert (failed["alert_id"], failed["channel"], failed["event_type"]) == (alert, 0, "alert.triggered")
    one = f"{path}/{failed['delivery_id']}"
    assert ok(api.get(one)) == failed
    again = ok(api.post(f"{one}/redeliver"))
    assert (again["status"], again["tries"], again["event_id"]) == ("pending", 0, failed["event_id"])
    assert seen(api, execution)["deliveries"][0]["status"] == "deferred"
    refused(api.get(f"{path}/dlv_none"), 404, "has no delivery")
    refused(api.post(f"{path}/dlv_none/redeliver"), 404)


def test_a_channel_that_is_no_more_reads_not_configured(api: httpx.Client, alert: str, end: End) -> None:
    execution = started(api, alert)
    end(execution)
    ok(api.patch(f"/v1/alerts/{alert}", json={"notification_config": {"channels": [HOOK]}}))
    assert [each["status"] for each in seen(api, execution)["deliveries"]] == ["deferred", "not_configured"]


def test_matches_are_not_shown_where_the_alert_leaves_them_out(
    api: httpx.Client, alert: str, end: End
) -> None:
    told = {"channels": [HOOK], "include_matches": False}
    ok(api.patch(f"/v1/alerts/{alert}", json={"notification_config": told}))
    execution = started(api, alert)
    end(execution)
    assert (seen(api, execution)["match_count"], seen(api, execution)["matches"]) == (1, None)
