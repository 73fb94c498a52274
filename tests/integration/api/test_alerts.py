"""Alerts over HTTP: what is accepted, what is refused and where, and what stays while it is used."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import redis

from shared import keys
from tests.integration.api.answers import ok, places, refused, retriever

SECRET = "a secret that must not be seen"
HOOK: dict[str, Any] = {
    "channel_type": "webhook",
    "config": {"url": "https://example.com/in", "headers": {"X-Team": "a"}, "signing_secret": SECRET},
}
SLACK: dict[str, Any] = {"channel_type": "slack", "config": {"url": "https://hooks.example.com/x"}}
SCHEMA = {
    "query": {"type": "string", "required": True},
    "year": {"type": "integer"},
    "kind": {"type": "string", "enum": ["novel", "poem"], "default": "novel"},
}


@pytest.fixture
def watched(api: httpx.Client) -> str:
    """Id of a retriever named `watched` that needs the input `query`."""
    made = ok(api.post("/v1/retrievers", json=retriever("watched", input_schema=SCHEMA)))
    retriever_id: str = made["retriever_id"]
    return retriever_id


def body(**over: Any) -> dict[str, Any]:
    told = {"channels": [HOOK]}
    return {"name": "dune again", "retriever_id": "watched", "notification_config": told, **over}


def made(api: httpx.Client, **over: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(api.post("/v1/alerts", json=body(**over)))
    return answer


def changed(api: httpx.Client, alert: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(api.patch(f"/v1/alerts/{alert['alert_id']}", json=fields))
    return answer


def secret_of(alert: dict[str, Any]) -> Any:
    return alert["notification_config"]["channels"][0]["config"]["signing_secret"]


def application(alert: str = "dune again", **over: Any) -> dict[str, Any]:
    mapping = {"input_key": "query", "source": {"source_type": "document_field", "path": "$.title"}}
    return {"alert_id": alert, "input_mappings": [mapping], **over}


def constant(key: str, value: Any) -> dict[str, Any]:
    return {"input_key": key, "source": {"source_type": "constant", "value": value}}


def test_an_alert_from_its_making_to_its_end(api: httpx.Client, watched: str) -> None:
    alert = made(
        api,
        notification_config={"channels": [HOOK, SLACK], "include_scores": False},
        threshold={"field": "score", "operator": "gte", "value": 0.5},
        inputs={"year": 1965},
        metadata={"team": "sand"},
    )
    shown = dict(alert)
    assert shown.pop("created_at") == shown.pop("updated_at")
    alert_id = shown.pop("alert_id")
    assert alert_id.startswith("alt_")
    assert shown == {
        "namespace_id": api.headers["X-Namespace"],
        "name": "dune again",
        "description": None,
        "source": "retriever",
        "retriever_id": watched,
        "trigger_on": "results",
        "min_count": 1,
        "threshold": {"field": "score", "operator": "gte", "value": 0.5},
        "inputs": {"year": 1965},
        "schedule": None,
        "cooldown_seconds": 0,
        "renotify_interval_seconds": None,
        "last_fired_at": None,
        "system_condition": None,
        "namespace_selector": None,
        "notification_config": {
            "channels": [
                {
                    "channel_type": "webhook",
                    "channel_id": None,
                    "config": {
                        "url": "https://example.com/in",
                        "headers": {"X-Team": "a"},
                        "payload_template": None,
                        "timeout": 10.0,
                        "signing_secret": "redacted",
                    },
                },
                {
                    "channel_type": "slack",
                    "channel_id": None,
                    "config": {
                        "webhook_url": "https://hooks.example.com/x",
                        "channel": None,
                        "username": None,
                        "icon_emoji": None,
                        "icon_url": None,
                        "blocks_template": None,
                    },
                },
            ],
            "include_matches": True,
            "include_scores": False,
            "template_id": None,
        },
        "enabled": True,
        "attached_to": [],
        "metadata": {"team": "sand"},
        "warnings": [],
    }
    for named in (alert_id, "dune again"):
        assert ok(api.get(f"/v1/alerts/{named}")) == alert
    assert changed(api, alert, name="dune", enabled=False)["enabled"] is False
    assert ok(api.get("/v1/alerts/dune"))["name"] == "dune"
    refused(api.get("/v1/alerts/dune%20again"), 404)
    assert changed(api, alert, enabled=True)["enabled"] is True
    assert ok(api.delete("/v1/alerts/dune"))["success"] is True
    refused(api.get(f"/v1/alerts/{alert_id}"), 404, alert_id)
    refused(api.delete(f"/v1/alerts/{alert_id}"), 404)


def test_what_redis_holds_of_it_is_sealed(api: httpx.Client, watched: str, redis_client: redis.Redis) -> None:
    alert = made(api, notification_config={"channels": [HOOK, SLACK]})
    held = b"".join(redis_client.hvals(keys.resource("alert", alert["alert_id"])))
    for hidden in (SECRET, "example.com", "X-Team"):
        assert hidden.encode() not in held


@pytest.mark.parametrize(
    ("sent", "seen"),
    [({}, "redacted"), ({"signing_secret": "redacted"}, "redacted"), ({"signing_secret": ""}, None)],
)
def test_a_change_keeps_or_removes_the_secret(
    api: httpx.Client, watched: str, sent: dict[str, Any], seen: Any
) -> None:
    alert = made(api)
    channel = {"channel_type": "webhook", "config": {"url": "https://example.com/other", **sent}}
    after = changed(api, alert, notification_config={"channels": [channel]})
    assert secret_of(after) == seen
    assert after["notification_config"]["channels"][0]["config"]["url"] == "https://example.com/other"


def test_null_takes_away_what_need_not_be_there_and_leaves_the_rest(api: httpx.Client, watched: str) -> None:
    given = {
        "description": "Sand.",
        "min_count": 3,
        "threshold": {"field": "year", "operator": "gt", "value": 1900},
        "inputs": {"query": "sand"},
        "renotify_interval_seconds": 600,
        "schedule": {"cron": "*/5 * * * *", "timezone": "Europe/Berlin"},
        "metadata": {"a": 1},
        "cooldown_seconds": 60,
    }
    alert = made(api, **given)
    shown = {**given, "schedule": {**given["schedule"], "interval_seconds": None}}
    assert {name: alert[name] for name in given} == shown
    assert changed(api, alert)["schedule"] == shown["schedule"]
    after = changed(api, alert, **dict.fromkeys(given), name=None, enabled=None, retriever_id=None)
    assert {name: after[name] for name in given} == {
        "description": None,
        "min_count": 1,
        "threshold": None,
        "inputs": {},
        "renotify_interval_seconds": None,
        "schedule": None,
        "metadata": None,
        "cooldown_seconds": 60,
    }
    assert (after["name"], after["enabled"], after["retriever_id"]) == ("dune again", True, watched)


@pytest.mark.parametrize(
    ("over", "place", "words"),
    [
        ({"retriever_id": None}, ["retriever_id"], "must name the retriever"),
        ({"retriever_id": "nobody"}, ["retriever_id"], "no retriever"),
        ({"inputs": {"year": "MCM"}}, ["inputs", "year"], "not an integer"),
        ({"inputs": {"kind": "essay"}}, ["inputs", "kind"], "not one of"),
        ({"inputs": {"yaer": 1}}, ["inputs", "yaer"], "it has kind, query, year"),
        ({"schedule": {"interval_seconds": 60}}, ["inputs", "query"], "required"),
        ({"schedule": {"interval_seconds": 59}}, ["schedule", "interval_seconds"], "60"),
        ({"schedule": {"cron": "* * * *"}}, ["schedule", "cron"], "five fields"),
        ({"schedule": {"cron": "61 * * * *"}}, ["schedule", "cron"], "Bad minute"),
        ({"schedule": {"cron": "0 0 * * *", "timezone": "Dune"}}, ["schedule", "timezone"], "time zone"),
        ({"schedule": {}}, ["schedule"], "one of interval_seconds and cron"),
        ({"trigger_on": "no_results", "min_count": 2}, ["min_count"], "with no_results"),
        (
            {"trigger_on": "no_results", "threshold": {"field": "a", "operator": "eq", "value": 1}},
            ["threshold"],
            "with no_results",
        ),
        (
            {"threshold": {"field": "a..b", "operator": "eq", "value": 1}},
            ["threshold", "field"],
            "empty part",
        ),
        ({"threshold": {"field": "a", "operator": "gt", "value": [1]}}, ["threshold", "value"], "a number"),
        ({"threshold": {"field": "a", "operator": "gt", "value": True}}, ["threshold"], "eq or ne"),
        ({"min_count": 0}, ["min_count"], "1"),
        ({"cooldown_seconds": 2_592_001}, ["cooldown_seconds"], "2592000"),
        ({"renotify_interval_seconds": 59}, ["renotify_interval_seconds"], "60"),
        ({"namespace_selector": {"mode": "all"}}, ["namespace_selector"], "not supported"),
        ({"name": ""}, ["name"], "1"),
        ({"system_condition": {"type": "batch_error_rate"}}, ["system_condition"], "source system"),
    ],
)
def test_what_could_not_run_is_refused_at_its_place(
    api: httpx.Client, watched: str, over: dict[str, Any], place: list[Any], words: str
) -> None:
    error = refused(api.post("/v1/alerts", json=body(**over)), 422, words)
    assert places(error) == [place]
    assert ok(api.post("/v1/alerts/list"))["total_count"] == 0


@pytest.mark.parametrize(
    ("channel", "place", "words"),
    [
        ({"channel_type": "batch", "config": {}}, ["channel_type"], "'batch' is not supported"),
        ({"channel_type": "pager", "config": {}}, ["channel_type"], "webhook"),
        ({"channel_type": "slack", "channel_id": "C1", "config": {}}, ["channel_id"], "not supported"),
        ({"channel_type": "webhook", "config": {}}, ["config", "url"], "required"),
        ({"channel_type": "webhook"}, ["config"], "required"),
        (
            {"channel_type": "webhook", "config": {"url": "http://127.0.0.1/x"}},
            ["config", "url"],
            "127.0.0.1",
        ),
        ({"channel_type": "email", "config": {"to_addresses": ["a@example.com"]}}, ["config"], "mail server"),
        (
            {"channel_type": "webhook", "config": {"url": "https://a.example", "signing_secret": "redacted"}},
            ["config", "signing_secret"],
            "no secret to keep",
        ),
    ],
)
def test_a_channel_that_cannot_be_used_is_refused_at_its_place(
    api: httpx.Client, watched: str, channel: dict[str, Any], place: list[Any], words: str
) -> None:
    told = {"channels": [SLACK, channel]}
    error = refused(api.post("/v1/alerts", json=body(notification_config=told)), 422, words)
    assert places(error) == [["notification_config", "channels", 1, *place]]


def test_a_template_of_the_organisation_is_refused(api: httpx.Client, watched: str) -> None:
    told = {"channels": [HOOK], "template_id": "tpl_1"}
    error = refused(api.post("/v1/alerts", json=body(notification_config=told)), 422, "not supported")
    assert places(error) == [["notification_config", "template_id"]]


def test_unknown_keys_are_named_wherever_they_are(api: httpx.Client, watched: str) -> None:
    channel = {**HOOK, "colour": 1, "config": {**HOOK["config"], "speed": 2}}
    told = {"channels": [channel], "volume": 3}
    alert = made(
        api,
        notification_config=told,
        weight=4,
        threshold={"field": "a", "operator": "eq", "value": 1, "x": 5},
    )
    assert alert["warnings"] == [
        f"the key {key!r} is unknown and was ignored"
        for key in (
            "weight",
            "notification_config.volume",
            "notification_config.channels[0].colour",
            "threshold.x",
            "notification_config.channels[0].config.speed",
        )
    ]


def test_a_renotify_within_the_cooldown_is_warned_of(api: httpx.Client, watched: str) -> None:
    alert = made(api, cooldown_seconds=3_600, renotify_interval_seconds=60)
    assert alert["warnings"] == ["cooldown_seconds wins over the shorter renotify_interval_seconds of 60"]
    assert changed(api, alert, renotify_interval_seconds=3_600)["warnings"] == []


def test_names_are_unique_in_a_namespace(api: httpx.Client, watched: str) -> None:
    first = made(api)
    error = refused(api.post("/v1/alerts", json=body()), 409, "dune again")
    assert (error["code"], error["details"]) == ("alert_name_taken", {"alert_id": first["alert_id"]})
    second = made(api, name="other")
    refused(api.patch(f"/v1/alerts/{second['alert_id']}", json={"name": "dune again"}), 409)


def test_another_namespace_sees_nothing_of_it(root: httpx.Client, api: httpx.Client, watched: str) -> None:
    alert = made(api)
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"other-{watched}"}))
    elsewhere = {"X-Namespace": other["namespace_id"]}
    for named in (alert["alert_id"], "dune again"):
        refused(api.get(f"/v1/alerts/{named}", headers=elsewhere), 404)
        refused(api.patch(f"/v1/alerts/{named}", headers=elsewhere, json={}), 404)
        refused(api.delete(f"/v1/alerts/{named}", headers=elsewhere), 404)
    assert ok(api.post("/v1/alerts/list", headers=elsewhere))["total_count"] == 0
    refused(api.post("/v1/alerts", headers=elsewhere, json=body(retriever_id=watched)), 422, "no retriever")


def test_lists_search_filter_sort_and_go_on(api: httpx.Client, watched: str) -> None:
    for number in range(5):
        made(api, name=f"alert {number}", enabled=number % 2 == 0, description="odd" if number % 2 else None)
    made(api, name="loud", notification_config={"channels": [SLACK]})

    def names(**asked: Any) -> list[str]:
        return [each["name"] for each in ok(api.post("/v1/alerts/list", json=asked))["results"]]

    assert names() == ["loud", *(f"alert {number}" for number in (4, 3, 2, 1, 0))]
    assert names(search="ALERT 3") == ["alert 3"]
    assert names(search="odd") == ["alert 3", "alert 1"]
    disabled = {"field": "enabled", "operator": "eq", "value": False}
    assert names(filters=disabled, sort={"field": "name"}) == ["alert 1", "alert 3"]
    slack = {"field": "notification_config.channels.channel_type", "operator": "eq", "value": "slack"}
    assert names(filters=slack) == ["loud"]
    sealed = {"field": "sealed_channels", "operator": "exists", "value": True}
    assert names(filters=sealed) == []
    first = ok(api.get("/v1/alerts", params={"limit": 4}))
    assert first["total_count"] == 6
    cursor = first["pagination"]["next_cursor"]
    rest = ok(api.get("/v1/alerts", params={"limit": 4, "cursor": cursor}))["results"]
    assert [each["name"] for each in rest] == ["alert 1", "alert 0"]
    assert secret_of(rest[0]) == "redacted"


def test_a_system_alert_watches_what_is_measured_here(api: httpx.Client) -> None:
    condition = {"type": "task_queue_degraded", "params": {"max_wait_seconds": 5}}
    alert = made(api, source="system", retriever_id=None, system_condition=condition)
    assert alert["system_condition"] == condition
    assert (alert["retriever_id"], alert["schedule"]["interval_seconds"]) == (None, 60)
    slower = changed(api, alert, schedule={"interval_seconds": 300})
    assert slower["schedule"]["interval_seconds"] == 300
    assert changed(api, alert, schedule=None)["schedule"]["interval_seconds"] == 60
    refused(
        api.patch(f"/v1/alerts/{alert['alert_id']}", json={"source": "retriever"}), 422, "cannot be changed"
    )


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"system_condition": {"type": "dlq_growth"}}, "'dlq_growth' has no metric in this version"),
        ({"system_condition": {"type": "weather"}}, "'weather' is no system condition"),
        ({"system_condition": None}, "which metric"),
        ({"system_condition": {"type": "batch_error_rate", "params": {"rate": 1}}}, "params.rate is not one"),
        (
            {"system_condition": {"type": "batch_error_rate", "params": {"error_rate_threshold": 2}}},
            "from 0 to 1",
        ),
        ({"retriever_id": "watched"}, "leave it out with source system"),
        ({"inputs": {"query": "x"}}, "leave it out with source system"),
        ({"min_count": 2}, "counts rows"),
    ],
)
def test_a_system_alert_that_makes_no_sense_is_refused(
    api: httpx.Client, watched: str, over: dict[str, Any], words: str
) -> None:
    system = {"source": "system", "retriever_id": None, "system_condition": {"type": "batch_error_rate"}}
    refused(api.post("/v1/alerts", json=body(**{**system, **over})), 422, words)


def test_a_change_is_checked_as_a_whole(api: httpx.Client, watched: str) -> None:
    alert = made(api, inputs={"query": "sand"}, schedule={"interval_seconds": 60}, min_count=2)
    path = f"/v1/alerts/{alert['alert_id']}"
    assert places(refused(api.patch(path, json={"inputs": {}}), 422)) == [["inputs", "query"]]
    assert places(refused(api.patch(path, json={"trigger_on": "no_results"}), 422)) == [["min_count"]]
    ok(api.post("/v1/retrievers", json=retriever("plain")))
    assert places(refused(api.patch(path, json={"retriever_id": "plain"}), 422)) == [["inputs", "query"]]
    assert ok(api.get(path)) == alert


def test_an_alert_that_no_longer_fits_its_retriever_can_be_switched_off_but_not_on(api: httpx.Client) -> None:
    def stages(value: Any) -> list[dict[str, Any]]:
        parameters = {"field": "year", "operator": "gte", "value": value}
        config = {"stage_id": "attribute_filter", "parameters": parameters}
        return [{"stage_name": "new_enough", "config": config}]

    ok(api.post("/v1/retrievers", json=retriever("watched", stages=stages("{{INPUT.since}}"))))
    alert = made(api, inputs={"since": 1900})
    ok(api.patch("/v1/retrievers/watched", json={"stages": stages(1900)}))
    assert changed(api, alert, enabled=False, name="old")["enabled"] is False
    error = refused(api.patch("/v1/alerts/old", json={"enabled": True}), 422, "no input of the retriever")
    assert places(error) == [["inputs", "since"]]
    assert changed(api, alert, enabled=True, inputs=None)["enabled"] is True


# --- at collections ------------------------------------------------------------------------------------


def collection(api: httpx.Client, *applications: dict[str, Any], name: str = "novels") -> dict[str, Any]:
    request = {"collection_name": name, "alert_applications": list(applications)}
    answer: dict[str, Any] = ok(api.post("/v1/collections", json=request))
    return answer


def test_an_alert_is_attached_shown_and_let_go(api: httpx.Client, watched: str) -> None:
    alert = made(api)
    novels = collection(api, application(priority=7))
    stored = {
        "alert_id": alert["alert_id"],
        "execution_mode": "on_ingest",
        "input_mappings": [
            {
                "input_key": "query",
                "source": {"source_type": "document_field", "path": "title", "value": None},
            }
        ],
        "execution_phase": 3,
        "priority": 7,
    }
    assert novels["alert_applications"] == [stored]
    assert ok(api.get("/v1/collections/novels"))["alert_applications"] == [stored]
    assert ok(api.get("/v1/alerts/dune%20again"))["attached_to"] == [novels["collection_id"]]
    error = refused(api.delete("/v1/alerts/dune%20again"), 409, novels["collection_id"])
    assert (error["code"], error["details"]) == (
        "alert_in_use",
        {"collection_ids": [novels["collection_id"]]},
    )
    renamed = ok(api.patch("/v1/collections/novels", json={"description": "Long."}))
    assert renamed["alert_applications"] == [stored]
    detached = ok(api.patch("/v1/collections/novels", json={"alert_applications": []}))
    assert detached["alert_applications"] == []
    assert ok(api.get("/v1/alerts/dune%20again"))["attached_to"] == []
    ok(api.delete("/v1/alerts/dune%20again"))


def test_a_deleted_collection_lets_its_alerts_go(api: httpx.Client, watched: str) -> None:
    made(api)
    collection(api, application())
    ok(api.delete("/v1/collections/novels"))
    assert ok(api.get("/v1/alerts/dune%20again"))["attached_to"] == []


def test_a_copy_of_a_collection_has_only_the_alerts_that_it_is_given(api: httpx.Client, watched: str) -> None:
    made(api)
    collection(api, application())
    bare = ok(api.post("/v1/collections/novels/clone", json={"collection_name": "bare"}))["collection"]
    assert bare["alert_applications"] == []
    given = {"collection_name": "given", "alert_applications": [application()]}
    copy = ok(api.post("/v1/collections/novels/clone", json=given))["collection"]
    assert [each["priority"] for each in copy["alert_applications"]] == [0]


@pytest.mark.parametrize(
    ("over", "place", "words"),
    [
        ({"alert_id": "nobody"}, ["alert_id"], "no alert"),
        ({"input_mappings": []}, ["input_mappings"], "1"),
        (
            {"input_mappings": [constant("query", "a"), constant("yaer", 1)]},
            ["input_mappings", "yaer"],
            "it has kind, query, year",
        ),
        (
            {"input_mappings": [constant("query", "a"), constant("year", "x")]},
            ["input_mappings", "year"],
            "not an integer",
        ),
        ({"input_mappings": [constant("year", 1)]}, ["input_mappings", "query"], "required"),
        ({"input_mappings": [constant("query", "a")] * 2}, [], "maps 'query' twice"),
        ({"execution_mode": "scheduled"}, [], "mapped from a document"),
        (
            {"execution_mode": "scheduled", "input_mappings": [constant("query", "a")]},
            ["execution_mode"],
            "no schedule",
        ),
        ({"execution_mode": "hourly"}, ["execution_mode"], "on_ingest"),
        ({"execution_phase": 1}, ["execution_phase"], "1 is not supported"),
        ({"priority": 1_001}, ["priority"], "1000"),
        (
            {
                "input_mappings": [
                    {"input_key": "query", "source": {"source_type": "source_blob", "path": "a"}}
                ]
            },
            ["input_mappings", 0, "source", "source_type"],
            "'source_blob' is not supported",
        ),
        (
            {"input_mappings": [{"input_key": "query", "source": {"source_type": "document_field"}}]},
            ["input_mappings", 0, "source"],
            "needs path",
        ),
        (
            {"input_mappings": [{"input_key": "query", "source": {"source_type": "constant", "path": "a"}}]},
            ["input_mappings", 0, "source"],
            "needs value",
        ),
    ],
)
def test_an_attachment_that_could_not_run_is_refused_at_its_place(
    api: httpx.Client, watched: str, over: dict[str, Any], place: list[Any], words: str
) -> None:
    made(api)
    request = {"collection_name": "novels", "alert_applications": [{**application(), **over}]}
    error = refused(api.post("/v1/collections", json=request), 422, words)
    assert places(error) == [["alert_applications", 0, *place]]
    refused(api.get("/v1/collections/novels"), 404)


def test_an_alert_is_attached_once_in_each_mode(api: httpx.Client, watched: str) -> None:
    made(api, inputs={"query": "sand"}, schedule={"interval_seconds": 60})
    by_schedule = application(execution_mode="scheduled", input_mappings=[constant("year", 1965)])
    collection(api, application(), by_schedule)
    twice = {"alert_applications": [application(), application()]}
    error = refused(api.patch("/v1/collections/novels", json=twice), 422, "twice")
    assert places(error) == [["alert_applications", 1, "alert_id"]]


def test_a_system_alert_cannot_be_attached(api: httpx.Client) -> None:
    made(api, source="system", retriever_id=None, system_condition={"type": "batch_error_rate"})
    request = {"collection_name": "novels", "alert_applications": [application()]}
    refused(api.post("/v1/collections", json=request), 422, "runs on its schedule")


def test_a_retriever_without_inputs_can_be_attached(api: httpx.Client) -> None:
    ok(api.post("/v1/retrievers", json=retriever("plain")))
    made(api, retriever_id="plain")
    collection(api, application(input_mappings=[constant("anything", 1)]))


def test_a_change_of_an_alert_names_the_collection_that_it_would_break(
    api: httpx.Client, watched: str
) -> None:
    alert = made(api, inputs={"query": "sand"}, schedule={"interval_seconds": 60})
    by_schedule = application(execution_mode="scheduled", input_mappings=[constant("year", 1965)])
    novels = collection(api, by_schedule)
    path = f"/v1/alerts/{alert['alert_id']}"
    error = refused(api.patch(path, json={"schedule": None, "inputs": {"query": "a"}}), 422, "no schedule")
    assert places(error) == [["attached_to", novels["collection_id"], "execution_mode"]]


def test_what_an_alert_runs_stays_as_long_as_the_alert(api: httpx.Client, watched: str) -> None:
    alert = made(api)
    error = refused(api.delete("/v1/retrievers/watched"), 409, alert["alert_id"])
    assert (error["code"], error["details"]) == ("retriever_in_use", {"alert_ids": [alert["alert_id"]]})
    ok(api.post("/v1/retrievers", json=retriever("plain", input_schema=SCHEMA)))
    changed(api, alert, retriever_id="plain")
    ok(api.delete("/v1/retrievers/watched"))
    refused(api.delete("/v1/retrievers/plain"), 409)
    ok(api.delete(f"/v1/alerts/{alert['alert_id']}"))
    ok(api.delete("/v1/retrievers/plain"))


def test_an_alert_of_another_namespace_cannot_be_attached(
    root: httpx.Client, api: httpx.Client, watched: str
) -> None:
    alert = made(api)
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"else-{watched}"}))
    request = {"collection_name": "novels", "alert_applications": [application(alert["alert_id"])]}
    elsewhere = {"X-Namespace": other["namespace_id"]}
    refused(api.post("/v1/collections", headers=elsewhere, json=request), 422, "no alert")


def test_webhooks_are_told_of_what_becomes_of_an_alert(
    root: httpx.Client, api: httpx.Client, watched: str
) -> None:
    wanted = ["alert.created", "alert.updated", "alert.deleted"]
    hook = {"channel": "webhook", "configs": {"url": "https://example.com/in"}}
    request = {
        "webhook_name": "alerts",
        "event_types": wanted,
        "resource_types": ["alert"],
        "channels": [hook],
    }
    webhook = ok(root.post("/v1/organizations/webhooks", json=request))
    path = f"/v1/organizations/webhooks/{webhook['webhook_id']}"
    alert = made(api)
    changed(api, alert, enabled=False)
    ok(api.delete(f"/v1/alerts/{alert['alert_id']}"))
    told = [each["payload"] for each in ok(root.get(f"{path}/deliveries"))["results"]]
    assert root.delete(path).status_code == 204
    assert {each["event_type"] for each in told} == set(wanted)
    by_type = {each["event_type"]: each for each in told}
    last = by_type["alert.deleted"]
    assert last.pop("event_id").startswith("evt_")
    assert last.pop("timestamp") > alert["created_at"]
    assert last == {
        "event_type": "alert.deleted",
        "namespace_id": api.headers["X-Namespace"],
        "resource_type": "alert",
        "resource_id": alert["alert_id"],
        "name": "dune again",
        "enabled": False,
    }
    assert by_type["alert.created"]["enabled"] is True
