"""The field's existing client manages alerts, attaches them, and parses every answer about them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.alerts_api import AlertsApi
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.exceptions import ConflictException, NotFoundException, UnprocessableEntityException
from mixpeek.models.alert_notification_config import AlertNotificationConfig
from mixpeek.models.alert_threshold import AlertThreshold
from mixpeek.models.create_alert_request import CreateAlertRequest
from mixpeek.models.list_alerts_request import ListAlertsRequest
from mixpeek.models.notification_channel_config import NotificationChannelConfig
from mixpeek.models.patch_alert_request import PatchAlertRequest
from mixpeek.models.system_condition import SystemCondition
from mixpeek.models.system_condition_type import SystemConditionType
from mixpeek.models.trigger_on import TriggerOn

from tests.conftest import API_KEY
from tests.integration.api.answers import ok, retriever
from tests.integration.api.test_alert_executions import End, end  # noqa: F401  (a fixture)
from tests.integration.api.test_alerts import application

HOOK = NotificationChannelConfig(
    channel_type="webhook", config={"url": "https://example.com/in", "signing_secret": "hidden"}
)


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        yield client


@pytest.fixture
def watched(api: httpx.Client) -> str:
    schema = {"query": {"type": "string", "required": True}}
    made = ok(api.post("/v1/retrievers", json=retriever("watched", input_schema=schema)))
    retriever_id: str = made["retriever_id"]
    return retriever_id


def wanted(retriever_id: str | None, name: str = "dune", **over: object) -> CreateAlertRequest:
    told = AlertNotificationConfig(channels=[HOOK])
    fields = {"retriever_id": retriever_id, "inputs": {"query": "sand"}, **over}
    return CreateAlertRequest(name=name, notification_config=told, **fields)


def test_an_alert_from_its_making_to_its_end(client: ApiClient, watched: str) -> None:
    alerts = AlertsApi(client)
    threshold = AlertThreshold(field="score", operator="gte", value=0.5)
    made = alerts.create_alert(wanted(watched, threshold=threshold, cooldown_seconds=60))
    assert (made.retriever_id, made.threshold.var_field, made.cooldown_seconds) == (watched, "score", 60)
    assert made.notification_config.channels[0].config["signing_secret"] == "redacted"
    assert made.created_at == made.updated_at and made.last_fired_at is None
    change = PatchAlertRequest(enabled=False, trigger_on=TriggerOn.RESULTS)
    changed = alerts.patch_alert("dune", change)
    assert (changed.enabled, changed.min_count) == (False, 1)
    assert alerts.get_alert(made.alert_id) == changed
    listed = alerts.list_alerts(list_alerts_request=ListAlertsRequest(search="DUNE"))
    assert [each.alert_id for each in listed.results] == [made.alert_id]
    assert alerts.list_alerts_0(include_total=True).total_count == 1
    with pytest.raises(ConflictException):
        alerts.create_alert(wanted(watched))
    alerts.delete_alert("dune")
    with pytest.raises(NotFoundException):
        alerts.get_alert(made.alert_id)


def test_what_could_not_run_is_refused(client: ApiClient, watched: str) -> None:
    with pytest.raises(UnprocessableEntityException) as refused:
        AlertsApi(client).create_alert(wanted(watched, inputs={"query": 7}))
    assert refused.value.data.error.message == "inputs.query: 7 is not a string"
    condition = SystemCondition(type=SystemConditionType.DLQ_GROWTH)
    with pytest.raises(UnprocessableEntityException) as unmeasured:
        AlertsApi(client).create_alert(wanted(None, inputs=None, source="system", system_condition=condition))
    assert "'dlq_growth' has no metric" in unmeasured.value.data.error.message


def test_a_system_alert_is_parsed(client: ApiClient) -> None:
    condition = SystemCondition(type=SystemConditionType.TASK_QUEUE_DEGRADED, params={"max_wait_seconds": 5})
    made = AlertsApi(client).create_alert(
        wanted(None, inputs=None, source="system", system_condition=condition)
    )
    assert (made.source, made.system_condition) == ("system", condition)


def test_an_alert_at_a_collection_is_parsed(client: ApiClient, api: httpx.Client, watched: str) -> None:
    alert = AlertsApi(client).create_alert(wanted(watched))
    CollectionsApi(client).create_collection({"collection_name": "novels", "source": {"type": "none"}})
    given = {"alert_applications": [application(alert.alert_id, priority=3)]}
    ok(api.patch("/v1/collections/novels", json=given))
    [applied] = CollectionsApi(client).get_collection("novels").alert_applications
    assert (applied.alert_id, applied.priority, applied.execution_phase) == (alert.alert_id, 3, 3)
    assert applied.input_mappings[0].source.path == "title"


def test_executions_are_parsed(client: ApiClient, api: httpx.Client, watched: str, end: End) -> None:  # noqa: F811
    alerts = AlertsApi(client)
    alert = alerts.create_alert(wanted(watched))
    with pytest.raises(NotFoundException):
        alerts.get_latest_result_alerts("dune")
    runs = [api.post("/v1/alerts/dune/execute").json() for _ in range(2)]
    end(runs[0])
    seen = alerts.get_execution_alerts(runs[0]["execution_id"])
    assert (seen.alert_id, seen.triggered, seen.matches[0].score) == (alert.alert_id, True, 0.5)
    assert [(each.channel_type, each.status) for each in seen.deliveries] == [
        ("webhook", "deferred"),
        ("removed", "not_configured"),
    ]
    assert alerts.get_latest_result_alerts("dune") == seen
    pending = alerts.get_execution_alerts(runs[1]["execution_id"])
    assert (pending.triggered, pending.match_count, pending.deliveries) == (False, 0, None)
    for listed in (alerts.list_alert_executions("dune"), alerts.list_all_executions_alerts()):
        assert [each.execution_id for each in listed.results] == [run["execution_id"] for run in runs[::-1]]
    with pytest.raises(NotFoundException):
        alerts.get_execution_alerts("exec_none")
