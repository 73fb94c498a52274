"""Webhooks over HTTP: what is accepted, what is shown, who may, and what is never shown again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from shared.models.api_key import ALL_PERMISSIONS
from shared.models.webhook import EVENT_TYPES, HAPPENING
from shared.settings import Settings
from shared.stores.api_keys import create_key
from tests.conftest import API_KEY, serve
from tests.integration.api.answers import ok, places, refused

PATH = "/v1/organizations/webhooks"
SECRET = "a secret that must not be seen"
HOOK: dict[str, Any] = {
    "channel": "webhook",
    "configs": {"url": "https://example.com/in", "headers": {"X-Team": "a"}, "signing_secret": SECRET},
}
SLACK: dict[str, Any] = {
    "channel": "slack",
    "configs": {"webhook_url": "https://hooks.example.com/x", "username": "kennel"},
}
MAIL: dict[str, Any] = {"channel": "email", "configs": {"to_addresses": ["a@example.com"]}}


@pytest.fixture(autouse=True)
def _none_left(root: httpx.Client) -> Iterator[None]:
    """There are at most 100 in an installation, and every one is told of all that the other tests do."""
    yield
    for each in ok(root.post(f"{PATH}/list"))["results"]:
        assert root.delete(f"{PATH}/{each['webhook_id']}").status_code == 204


def body(**over: Any) -> dict[str, Any]:
    return {"webhook_name": "results", "event_types": ["resource.executed"], "channels": [HOOK], **over}


def made(client: httpx.Client, **over: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(client.post(PATH, json=body(**over)))
    return answer


def at(client: httpx.Client, webhook: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = ok(client.get(f"{PATH}/{webhook['webhook_id']}"))
    return answer


def secret_of(webhook: dict[str, Any]) -> Any:
    return webhook["channels"][0]["configs"]["signing_secret"]


def test_a_webhook_from_its_making_to_its_end(root: httpx.Client) -> None:
    webhook = made(root, channels=[HOOK, SLACK])
    assert webhook.pop("created_at") == webhook.pop("updated_at")
    webhook_id = webhook.pop("webhook_id")
    assert webhook == {
        "webhook_name": "results",
        "event_types": ["resource.executed"],
        "resource_types": None,
        "channels": [
            {
                "channel": "webhook",
                "configs": {
                    "url": "https://example.com/in",
                    "headers": {"X-Team": "a"},
                    "payload_template": None,
                    "timeout": 10.0,
                    "signing_secret": "redacted",
                },
            },
            {
                "channel": "slack",
                "configs": {
                    "webhook_url": "https://hooks.example.com/x",
                    "channel": None,
                    "username": "kennel",
                    "icon_emoji": None,
                    "icon_url": None,
                    "blocks_template": None,
                },
            },
        ],
        "is_active": True,
        "delivery_health": None,
        "warnings": [],
    }
    assert at(root, {"webhook_id": webhook_id})["channels"] == webhook["channels"]
    for _ in range(2):
        answer = root.delete(f"{PATH}/{webhook_id}")
        assert (answer.status_code, answer.content) == (204, b"")
    refused(root.get(f"{PATH}/{webhook_id}"), 404, webhook_id)


def test_what_redis_holds_of_it_is_sealed(
    root: httpx.Client, redis_client: redis.Redis, settings: Settings
) -> None:
    webhook_id = made(root, channels=[HOOK, SLACK])["webhook_id"]
    held = b"".join(redis_client.hvals(f"kennel:webhook:{webhook_id}"))
    for hidden in (SECRET, "example.com", "X-Team"):
        assert hidden.encode() not in held
    assert Path(settings.data_dir, "secrets_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sent", "seen"),
    [({}, "redacted"), ({"signing_secret": "redacted"}, "redacted"), ({"signing_secret": ""}, None)],
)
def test_an_update_keeps_or_removes_the_secret(root: httpx.Client, sent: dict[str, Any], seen: Any) -> None:
    webhook = made(root)
    channel = {"channel": "webhook", "configs": {"url": "https://example.com/other", **sent}}
    changed = ok(root.put(f"{PATH}/{webhook['webhook_id']}", json={"channels": [channel]}))
    assert secret_of(changed) == seen
    assert changed["channels"][0]["configs"]["url"] == "https://example.com/other"
    assert changed["webhook_name"] == "results"


def test_what_was_read_can_be_sent_back(root: httpx.Client) -> None:
    webhook = made(root, channels=[HOOK, SLACK], resource_types=["retriever"])
    sent = {**webhook, "webhook_name": "other"}
    changed = ok(root.put(f"{PATH}/{webhook['webhook_id']}", json=sent))
    ignored = ("created_at", "delivery_health", "updated_at", "warnings", "webhook_id")
    assert changed["warnings"] == [f"the key {name!r} is unknown and was ignored" for name in ignored]
    same = {"updated_at": changed["updated_at"], "warnings": changed["warnings"], "webhook_name": "other"}
    assert changed == {**webhook, **same}


def test_a_list_is_filtered_and_paged(root: httpx.Client) -> None:
    first = made(root, webhook_name="first")
    second = made(root, webhook_name="second", event_types=["resource.execution_failed"], is_active=False)
    ids = [second["webhook_id"], first["webhook_id"]]

    def listed(**asked: Any) -> list[str]:
        return [each["webhook_id"] for each in ok(root.post(f"{PATH}/list", json=asked))["results"]]

    assert listed() == ids
    assert listed(event_type="resource.executed") == ids[1:]
    assert listed(is_active=False) == ids[:1]
    assert listed(event_type="alert.triggered") == []
    page = ok(root.post(f"{PATH}/list", params={"limit": 1, "offset": 1, "include_total": True}))
    assert ([each["webhook_id"] for each in page["results"]], page["total"]) == (ids[1:], 2)
    assert page["pagination"]["total"] == 2
    refused(root.post(f"{PATH}/list", json={"cursor": "x"}), 400, "no cursors")


@pytest.mark.parametrize("event_type", sorted(set(EVENT_TYPES) - HAPPENING.keys()))
def test_an_event_that_never_happens_is_refused_by_name(root: httpx.Client, event_type: str) -> None:
    error = refused(
        root.post(PATH, json=body(event_types=["resource.executed", event_type])), 422, event_type
    )
    assert places(error) == [["event_types", 1]]


def configs(**over: Any) -> list[dict[str, Any]]:
    return [{"channel": "webhook", "configs": {"url": "https://example.com/", **over}}]


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"event_types": []}, ["event_types"]),
        ({"event_types": ["retriever.execution.completed"]}, ["event_types", 0]),
        ({"webhook_name": ""}, ["webhook_name"]),
        ({"webhook_name": "x" * 201}, ["webhook_name"]),
        ({"resource_types": ["taxonomy"]}, ["resource_types", 0]),
        ({"is_active": "yes"}, ["is_active"]),
        ({"channels": []}, ["channels"]),
        ({"channels": configs() * 11}, ["channels"]),
        ({"channels": [{"channel": "pager", "configs": {}}]}, ["channels", 0]),
        ({"channels": [MAIL]}, ["channels", 0, "configs"]),
        ({"channels": configs(url="ftp://example.com")}, ["channels", 0, "webhook", "configs", "url"]),
        ({"channels": configs(url="http://a:b@example.com")}, ["channels", 0, "webhook", "configs", "url"]),
        ({"channels": configs(url="http://127.0.0.1:80/")}, ["channels", 0, "configs", "url"]),
        ({"channels": configs(url="http://2130706433/")}, ["channels", 0, "configs", "url"]),
        ({"channels": configs(url="http://localhost/")}, ["channels", 0, "configs", "url"]),
        ({"channels": configs(timeout=0)}, ["channels", 0, "webhook", "configs", "timeout"]),
        ({"channels": configs(timeout=31)}, ["channels", 0, "webhook", "configs", "timeout"]),
        ({"channels": configs(headers={"Host": "x"})}, ["channels", 0, "webhook", "configs", "headers"]),
        (
            {"channels": configs(headers={"content-length": "1"})},
            ["channels", 0, "webhook", "configs", "headers"],
        ),
        (
            {"channels": configs(headers={"Webhook-Id": "1"})},
            ["channels", 0, "webhook", "configs", "headers"],
        ),
        (
            {"channels": configs(headers={"X-A": "1\r\nX-B: 2"})},
            ["channels", 0, "webhook", "configs", "headers"],
        ),
        ({"channels": configs(headers={"X A": "1"})}, ["channels", 0, "webhook", "configs", "headers"]),
        ({"channels": configs(headers={"X-A": "\u2603"})}, ["channels", 0, "webhook", "configs", "headers"]),
        (
            {"channels": configs(signing_secret="whsec_x")},
            ["channels", 0, "webhook", "configs", "signing_secret"],
        ),
        ({"channels": configs(signing_secret="redacted")}, ["channels", 0, "configs", "signing_secret"]),
        (
            {"channels": configs(payload_template={"a": "{{ x }}"})},
            ["channels", 0, "configs", "payload_template", "a"],
        ),
        (
            {"channels": [{"channel": "slack", "configs": {"webhook_url": "http://[::1]/"}}]},
            ["channels", 0, "configs", "webhook_url"],
        ),
        (
            {"channels": [{**SLACK, "configs": {**SLACK["configs"], "blocks_template": "{}"}}]},
            ["channels", 0, "configs", "blocks_template"],
        ),
        (
            {"channels": [{"channel": "email", "configs": {"to_addresses": ["a@b\r\nBcc: c@d"]}}]},
            ["channels", 0, "email", "configs", "to_addresses", 0],
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(
    root: httpx.Client, over: dict[str, Any], place: list[Any]
) -> None:
    answer = root.post(PATH, json=body(**over))
    assert places(refused(answer, 422)) == [place]
    assert ok(root.post(f"{PATH}/list"))["total"] == 0


def test_mail_is_accepted_where_a_server_is_set(settings: Settings) -> None:
    over = {"smtp_url": "smtp://user:hidden@127.0.0.1:25", "smtp_from": "kennel@example.com"}
    with_mail = Settings(**{**settings.model_dump(), **over})
    key = {"Authorization": f"Bearer {API_KEY}"}
    with serve(with_mail) as url, httpx.Client(base_url=url, headers=key) as client:
        [channel] = made(client, channels=[MAIL])["channels"]
    assert channel == {
        "channel": "email",
        "configs": {
            "to_addresses": ["a@example.com"],
            "cc_addresses": [],
            "bcc_addresses": [],
            "subject_template": None,
            "body_template": None,
            "content_type": "plain_text",
        },
    }


def test_unknown_keys_are_named(root: httpx.Client) -> None:
    channel = {**HOOK, "speed": 1, "configs": {**HOOK["configs"], "retries": 3}}
    assert made(root, channels=[channel], colour="red")["warnings"] == [
        "the key 'colour' is unknown and was ignored",
        "the key 'channels[0].speed' is unknown and was ignored",
        "the key 'channels[0].configs.retries' is unknown and was ignored",
    ]


def test_a_rotation_shows_the_new_secret_once(root: httpx.Client) -> None:
    path = f"{PATH}/{made(root)['webhook_id']}"
    rotated = ok(root.post(f"{path}/rotate-secret", json={"grace_period_s": 60}))
    assert rotated["signing_secret"].startswith("whsec_")
    assert rotated["previous_expires_at"] > ok(root.get(path))["updated_at"]
    assert secret_of(ok(root.get(path))) == "redacted"
    chosen = ok(root.post(f"{path}/rotate-secret", json={"signing_secret": "ours"}))
    assert chosen["signing_secret"] == "ours"
    refused(root.post(f"{path}/rotate-secret", json={"grace_period_s": 604_801}), 422, "grace_period_s")
    refused(root.post(f"{PATH}/wh_none/rotate-secret"), 404)
    unsigned = made(root, channels=configs())
    first = ok(root.post(f"{PATH}/{unsigned['webhook_id']}/rotate-secret"))
    assert first["previous_expires_at"] is None
    slack = made(root, channels=[SLACK])
    refused(root.post(f"{PATH}/{slack['webhook_id']}/rotate-secret"), 422, "not signed")


def test_a_test_event_is_on_its_way_to_each_channel(root: httpx.Client) -> None:
    webhook = made(root, channels=[HOOK, SLACK])
    path = f"{PATH}/{webhook['webhook_id']}"
    sent = [ok(root.post(f"{path}/test")) for _ in range(2)]
    listed = ok(root.get(f"{path}/deliveries"))
    assert listed["total"] == 4
    delivery = ok(root.get(f"{path}/deliveries/{sent[0]['delivery_ids'][1]}"))
    assert delivery in listed["results"]
    assert (delivery["webhook_id"], delivery["channel"]) == (webhook["webhook_id"], 1)
    assert (delivery["event_id"], delivery["event_type"]) == (sent[0]["event_id"], "webhook.test")
    assert (delivery["status"], delivery["tries"], delivery["attempts"]) == ("pending", 0, [])
    assert delivery["next_attempt_at"] == delivery["created_at"]
    assert delivery["payload"]["resource_id"] == webhook["webhook_id"]
    assert ok(root.get(f"{path}/deliveries", params={"status": "failed"}))["results"] == []
    refused(root.get(f"{path}/deliveries", params={"status": "sending"}), 422, "status")
    other = made(root)
    refused(root.get(f"{PATH}/{other['webhook_id']}/deliveries/{delivery['delivery_id']}"), 404)
    again = ok(root.post(f"{path}/deliveries/{delivery['delivery_id']}/redeliver"))
    assert (again["status"], again["event_id"]) == ("pending", delivery["event_id"])
    refused(root.post(f"{path}/deliveries/dlv_none/redeliver"), 404, "30 days")


def test_deliveries_are_paged(root: httpx.Client) -> None:
    path = f"{PATH}/{made(root)['webhook_id']}"
    for _ in range(5):
        ok(root.post(f"{path}/test"))
    everything = [each["delivery_id"] for each in ok(root.get(f"{path}/deliveries"))["results"]]
    seen: list[str] = []
    cursor = None
    for size in (2, 2, 1):
        page = ok(
            root.get(f"{path}/deliveries", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        )
        seen += [each["delivery_id"] for each in page["results"]]
        cursor = page["pagination"]["next_cursor"]
        assert len(page["results"]) == size
    assert (seen, cursor) == (everything, None)
    first = ok(root.get(f"{path}/deliveries", params={"limit": 2}))["pagination"]["next_cursor"]
    refused(
        root.get(f"{path}/deliveries", params={"cursor": first, "status": "pending"}), 400, "another query"
    )


def test_what_is_switched_off_sends_nothing(root: httpx.Client) -> None:
    webhook = made(root, is_active=False)
    path = f"{PATH}/{webhook['webhook_id']}"
    assert refused(root.post(f"{path}/test"), 409, "switched off")["code"] == "webhook_inactive"
    assert ok(root.put(path, json={"is_active": True}))["is_active"] is True
    ok(root.post(f"{path}/test"))


def test_only_an_admin_of_all_namespaces_manages_them(
    root: httpx.Client, api_url: str, redis_client: redis.Redis, namespace: str
) -> None:
    webhook = made(root)
    limits: list[dict[str, Any]] = [
        {"permissions": ["delete"]},
        {"permissions": ALL_PERMISSIONS, "namespaces": [namespace]},
    ]
    for number, limit in enumerate(limits):
        secret, _ = create_key(redis_client, f"limited {number} {namespace}", **limit)
        with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secret}"}) as client:
            path = f"{PATH}/{webhook['webhook_id']}"
            refused(client.get(path), 403)
            refused(client.post(PATH, json=body()), 403)
            refused(client.post(f"{PATH}/list"), 403)
            refused(client.put(path, json={}), 403)
            refused(client.delete(path), 403)
            refused(client.get(f"{path}/deliveries"), 403)
            refused(client.post(f"{path}/test"), 403)
    assert at(root, webhook)["webhook_id"] == webhook["webhook_id"]
