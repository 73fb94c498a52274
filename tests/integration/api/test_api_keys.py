"""API keys over HTTP: made, listed, changed, rotated, revoked; none grants more than its maker has."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis

from shared import keys
from shared.models.api_key import KeyRecord
from shared.stores.api_keys import create_key
from shared.stores.key_steps import KEYS_MAX
from tests.conftest import serve
from tests.integration.api.answers import ok, places, refused
from tests.waiting import wait_until

Open = Callable[..., httpx.Client]


@pytest.fixture
def path() -> str:
    """The keys of a user of the test's own."""
    return f"/v1/organizations/users/{secrets.token_hex(8)}@example.com/api-keys"


@pytest.fixture
def name() -> str:
    return f"key {secrets.token_hex(8)}"


@pytest.fixture
def opened(api_url: str) -> Iterator[Open]:
    """Opens clients with other keys."""
    with ExitStack() as stack:

        def open_client(secret: str, namespace: str = "") -> httpx.Client:
            headers = {"Authorization": f"Bearer {secret}"} | (
                {"X-Namespace": namespace} if namespace else {}
            )
            return stack.enter_context(httpx.Client(base_url=api_url, headers=headers, timeout=30))

        yield open_client


def _in(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


def test_a_new_key_shows_its_secret_once_and_works_at_once(
    root: httpx.Client, opened: Open, path: str, name: str, redis_client: redis.Redis
) -> None:
    made = ok(root.post(path, json={"name": name, "description": "d", "default_wait_s": 20}))
    digest = hashlib.sha256(made["key"].encode()).hexdigest()
    assert (made["key_hash"], made["key_prefix"]) == (digest, made["key"][:8])
    assert (made["internal_id"], made["organization_id"]) == ("org_kennel", "org_kennel")
    assert (made["user_id"], made["created_by"]) == (path.split("/")[4], "admin@localhost")
    assert (made["name"], made["description"], made["status"]) == (name, "d", "active")
    assert (made["permissions"], made["scopes"]) == (["delete", "write", "read"], None)
    me = ok(opened(made["key"]).get("/v1/me"))
    assert (me["user_email"], me["key"]["name"], me["key"]["default_wait_s"]) == (made["user_id"], name, 20)
    listed = root.get(path)
    assert ok(listed)["results"] == [{each: made[each] for each in made if each != "key"}]
    assert made["key"] not in listed.text + str(redis_client.get(keys.api_key(digest)))


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "x" * 101}, ["name"]),
        ({"name": "a\nb"}, ["name"]),
        ({"description": "x" * 501}, ["description"]),
        ({"permissions": []}, ["permissions"]),
        ({"permissions": ["root"]}, ["permissions", 0]),
        ({"expires_at": "yesterday"}, ["expires_at"]),
        ({"expires_at": "2020-01-01T00:00:00Z"}, ["expires_at"]),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, ["expires_at"]),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, ["expires_at"]),
        ({"expires_at": 4102444800}, ["expires_at"]),
        ({"default_wait_s": 26}, ["default_wait_s"]),
        ({"rate_limit_override": 60}, ["rate_limit_override"]),
        ({"rate_limit_override": 0}, ["rate_limit_override"]),
        ({"principal_id": "u1"}, ["principal_id"]),
        ({"allowed_origins": ["https://example.com"]}, ["allowed_origins"]),
        ({"scopes": [{"resource_type": "collection", "resource_id": "c"}]}, ["scopes", 0, "resource_type"]),
        (
            {"scopes": [{"resource_type": "namespace", "resource_id": "nowhere"}]},
            ["scopes", 0, "resource_id"],
        ),
        (
            {"scopes": [{"resource_type": "namespace", "resource_id": "x", "operations": ["read_data"]}]},
            ["scopes", 0, "operations"],
        ),
    ],
)
def test_what_does_not_fit_is_422_at_its_place_and_stores_nothing(
    root: httpx.Client, path: str, name: str, over: dict[str, Any], place: list[Any]
) -> None:
    assert places(refused(root.post(path, json={"name": name, **over}), 422)) == [place]
    assert ok(root.get(path, params={"include_revoked": True})) == {"results": [], "total": 0}


@pytest.mark.parametrize("email", ["nobody", "a b@example.com", "@", "x" * 250 + "@a.de", "a%2Fb@c%2Fd"])
def test_what_is_no_email_address_is_422(root: httpx.Client, email: str) -> None:
    error = refused(root.get(f"/v1/organizations/users/{email}/api-keys"), 422)
    assert places(error) == [["user_email"]]


def test_an_email_address_is_the_same_in_capitals(root: httpx.Client, path: str, name: str) -> None:
    ok(root.post(path.replace("@example.com", "@EXAMPLE.com"), json={"name": name}))
    assert ok(root.get(path))["total"] == 1


def test_unknown_keys_are_named(root: httpx.Client, path: str, name: str, namespace: str) -> None:
    scope = {"resource_type": "namespace", "resource_id": namespace, "shape": 1}
    made = ok(root.post(path, json={"name": name, "colour": 1, "scopes": [scope]}))
    assert [warning.split("'")[1] for warning in made["warnings"]] == ["colour", "scopes[0].shape"]


def test_one_of_sixteen_creates_of_a_name_wins_whoever_the_user_is(
    root: httpx.Client, path: str, name: str
) -> None:
    paths = [path.replace("@", f"+{n % 2}@") for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda each: root.post(each, json={"name": name}), paths))
    assert [answer.status_code for answer in answers].count(200) == 1
    codes = {refused(answer, 409)["code"] for answer in answers if answer.status_code != 200}
    assert codes == {"key_name_taken"}


def test_a_full_installation_takes_no_more(
    root: httpx.Client, path: str, name: str, redis_client: redis.Redis
) -> None:
    fillers = {f"{name} {n}": "gone" for n in range(KEYS_MAX)}
    redis_client.hset(keys.API_KEYS, mapping=fillers)  # type: ignore[arg-type]
    try:
        assert refused(root.post(path, json={"name": name}), 409)["code"] == "key_limit"
    finally:
        redis_client.hdel(keys.API_KEYS, *fillers)


def test_a_scope_names_a_namespace_by_id_or_name(
    root: httpx.Client, opened: Open, path: str, name: str, namespace: str
) -> None:
    called = ok(root.get(f"/v1/namespaces/{namespace}"))["namespace_name"]
    scopes = [{"resource_type": "namespace", "resource_id": each} for each in (called, namespace)]
    made = ok(root.post(path, json={"name": name, "scopes": scopes}))
    assert made["scopes"] == [{"resource_type": "namespace", "resource_id": namespace, "operations": None}]
    limited = opened(made["key"])
    assert ok(limited.get("/v1/me"))["key"]["namespaces"] == [namespace]
    assert [each["namespace_id"] for each in ok(limited.get("/v1/namespaces"))["results"]] == [namespace]
    assert ok(root.patch(f"{path}/{name}", json={"scopes": []}))["scopes"] is None
    assert ok(limited.get("/v1/me"))["key"]["namespaces"] is None


def test_a_change_keeps_what_it_does_not_name(root: httpx.Client, path: str, name: str) -> None:
    expires_at = _in(days=1)
    made = ok(root.post(path, json={"name": name, "description": "d", "expires_at": expires_at}))
    changed = ok(root.patch(f"{path}/{name}", json={"permissions": ["read", "read"], "description": None}))
    assert changed == {**{each: made[each] for each in made if each != "key"}, "permissions": ["read"]}
    assert changed["expires_at"][:19] == expires_at[:19]
    endless = ok(root.patch(f"{path}/{name}", json={"expires_at": None, "status": "active"}))
    assert endless["expires_at"] is None


def test_a_time_without_a_zone_is_utc(root: httpx.Client, path: str, name: str) -> None:
    made = ok(root.post(path, json={"name": name, "expires_at": "2100-01-31T09:30:00"}))
    assert made["expires_at"] == "2100-01-31T09:30:00.000Z"


def test_a_changed_permission_holds_at_once_in_the_process_that_changed_it(
    root: httpx.Client, opened: Open, path: str, name: str, namespace: str
) -> None:
    client = opened(ok(root.post(path, json={"name": name}))["key"], namespace)
    ok(client.post("/v1/collections", json={"collection_name": "abc"}))
    ok(root.patch(f"{path}/{name}", json={"permissions": ["read"]}))
    refused(client.post("/v1/collections", json={"collection_name": "abcd"}), 403, "'write'")


def test_a_renamed_key_keeps_its_secret(root: httpx.Client, opened: Open, path: str, name: str) -> None:
    made = ok(root.post(path, json={"name": name}))
    renamed = ok(root.patch(f"{path}/{name}", json={"name": f"new/{name}"}))
    assert (renamed["name"], renamed["key_id"]) == (f"new/{name}", made["key_id"])
    assert ok(opened(made["key"]).get("/v1/me"))["key"]["name"] == f"new/{name}"
    refused(root.patch(f"{path}/{name}", json={}), 404, name)
    ok(root.post(path, json={"name": name}))
    refused(root.patch(f"{path}/new%2F{name}", json={"name": name}), 409, "exists")
    assert [each["name"] for each in ok(root.get(path))["results"]] == [name, f"new/{name}"]


def test_a_rotated_key_is_401_under_its_old_secret_and_otherwise_the_same(
    root: httpx.Client, opened: Open, path: str, name: str
) -> None:
    made = ok(root.post(path, json={"name": name, "permissions": ["read"]}))
    old = opened(made["key"])
    ok(old.get("/v1/me"))
    new = ok(root.post(f"{path}/{name}/rotate"))
    refused(old.get("/v1/me"), 401)
    assert ok(opened(new["key"]).get("/v1/me"))["key"]["permissions"] == ["read"]
    changing = ("key", "key_hash", "key_prefix")
    assert {**new, **{each: made[each] for each in changing}} == made
    assert new["key_hash"] == hashlib.sha256(new["key"].encode()).hexdigest()


def test_sixteen_rotations_at_a_time_leave_one_secret(
    root: httpx.Client, opened: Open, path: str, name: str
) -> None:
    ok(root.post(path, json={"name": name}))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: root.post(f"{path}/{name}/rotate"), range(16)))
    made = [answer.json()["key"] for answer in answers if answer.status_code == 200]
    busy = [refused(answer, 409)["code"] for answer in answers if answer.status_code != 200]
    assert set(busy) <= {"key_busy"}
    statuses = [opened(secret).get("/v1/me").status_code for secret in made]
    assert (statuses.count(200), statuses.count(401)) == (1, len(made) - 1)


def test_a_revoked_key_is_401_in_every_process_and_revoking_again_changes_nothing(
    root: httpx.Client, opened: Open, path: str, name: str, settings: Any
) -> None:
    client = opened(ok(root.post(path, json={"name": name}))["key"])
    with serve(settings) as other_url, httpx.Client(base_url=other_url, headers=client.headers) as other:
        for each in (client, other):
            ok(each.get("/v1/me"))
        deleted = ok(root.delete(f"{path}/{name}"))
        assert deleted == {"message": f"the API key {name!r} is revoked", "success": True}
        refused(client.get("/v1/me"), 401)
        wait_until(lambda: other.get("/v1/me").status_code == 401, 2.0, "the other process to refuse it")
    ok(root.delete(f"{path}/{name}", params={"force": True}))
    assert ok(root.get(path))["total"] == 0
    [kept] = ok(root.get(path, params={"include_revoked": True, "include_session_keys": True}))["results"]
    assert (kept["status"], kept["revoked_by"]) == ("revoked", "admin@localhost")
    for response in (
        root.patch(f"{path}/{name}", json={"status": "active"}),
        root.post(f"{path}/{name}/rotate"),
    ):
        assert refused(response, 409, "revoked")["code"] == "key_not_active"
    assert ok(root.post(path, json={"name": name}))["status"] == "active"


def test_a_patch_can_revoke(root: httpx.Client, opened: Open, path: str, name: str) -> None:
    client = opened(ok(root.post(path, json={"name": name}))["key"])
    ok(client.get("/v1/me"))
    assert ok(root.patch(f"{path}/{name}", json={"status": "revoked"}))["revoked_at"]
    refused(client.get("/v1/me"), 401)


def test_an_expired_key_is_401_and_stays_so(
    root: httpx.Client, opened: Open, path: str, name: str, redis_client: redis.Redis
) -> None:
    made = ok(root.post(path, json={"name": name, "expires_at": _in(days=1)}))
    record = KeyRecord.model_validate_json(redis_client.get(keys.api_key(made["key_hash"])) or b"")
    past = record.model_copy(update={"expires_at": "2020-01-01T00:00:00.000Z"})
    redis_client.set(keys.api_key(made["key_hash"]), past.model_dump_json())
    refused(opened(made["key"]).get("/v1/me"), 401, "expired")
    assert [each["status"] for each in ok(root.get(path))["results"]] == ["expired"]
    refused(root.patch(f"{path}/{name}", json={"expires_at": _in(days=1)}), 409, "expired")
    refused(root.post(f"{path}/{name}/rotate"), 409, "expired")
    ok(root.delete(f"{path}/{name}"))


def test_the_bootstrap_key_is_protected(root: httpx.Client, path: str) -> None:
    own = "/v1/organizations/users/admin@localhost/api-keys"
    for response in (
        root.patch(f"{own}/admin-key", json={"name": "other"}),
        root.post(f"{own}/admin-key/rotate"),
        root.delete(f"{own}/admin-key", params={"force": True}),
    ):
        assert refused(response, 409, "protected")["code"] == "key_protected"
    refused(root.post(path, json={"name": "admin-key"}), 409, "exists")
    assert "admin-key" in {each["name"] for each in ok(root.get(own))["results"]}


def test_a_key_is_found_under_its_own_user_only(root: httpx.Client, path: str, name: str) -> None:
    ok(root.post(path, json={"name": name}))
    other = path.replace("@", "+other@")
    assert ok(root.get(other))["total"] == 0
    refused(root.patch(f"{other}/{name}", json={}), 404, name)
    refused(root.post(f"{other}/{name}/rotate"), 404, name)
    refused(root.delete(f"{other}/{name}"), 404, name)
    refused(root.delete(f"{path}/nobody"), 404, "nobody")


@pytest.mark.parametrize("permission", ["read", "write", "delete"])
def test_only_admin_may_manage_keys(
    opened: Open, redis_client: redis.Redis, path: str, name: str, permission: Any
) -> None:
    secret, _ = create_key(redis_client, name, permissions=[permission])
    client = opened(secret)
    for response in (
        client.get(path),
        client.post(path, json={"name": "x"}),
        client.patch(f"{path}/x", json={}),
        client.post(f"{path}/x/rotate"),
        client.delete(f"{path}/x"),
    ):
        refused(response, 403, "'admin'")


def test_a_limited_admin_neither_grants_nor_sees_what_it_may_not_use(
    root: httpx.Client, opened: Open, redis_client: redis.Redis, path: str, name: str, namespace: str
) -> None:
    ok(root.post(path, json={"name": f"{name} wide", "permissions": ["admin"]}))
    secret, _ = create_key(redis_client, name, namespaces=[namespace])
    limited = opened(secret)
    other = ok(root.post("/v1/namespaces", json={"namespace_name": name}))["namespace_id"]
    refused(limited.post(path, json={"name": f"{name} x"}), 403, "limited")
    scope = {"resource_type": "namespace", "resource_id": other}
    refused(limited.post(path, json={"name": f"{name} x", "scopes": [scope]}), 422, other)
    ok(limited.post(path, json={"name": f"{name} own", "scopes": [{**scope, "resource_id": namespace}]}))
    refused(limited.patch(f"{path}/{name} own", json={"scopes": []}), 403, "limited")
    assert [each["name"] for each in ok(limited.get(path))["results"]] == [f"{name} own"]
    refused(limited.post(f"{path}/{name} wide/rotate"), 404)
    refused(limited.delete(f"{path}/{name} wide"), 404)
    ok(limited.post(f"{path}/{name} own/rotate"))


def test_an_expiring_admin_grants_nothing_that_outlives_it(
    root: httpx.Client, opened: Open, redis_client: redis.Redis, path: str, name: str
) -> None:
    ok(root.post(path, json={"name": f"{name} endless"}))
    secret, _ = create_key(redis_client, name, expires_at=datetime.now(UTC) + timedelta(days=1))
    client = opened(secret)
    refused(client.post(path, json={"name": f"{name} x"}), 403, "expires")
    refused(client.post(path, json={"name": f"{name} x", "expires_at": _in(days=2)}), 403, "expires")
    ok(client.post(path, json={"name": f"{name} x", "expires_at": _in(hours=1)}))
    refused(client.patch(f"{path}/{name} x", json={"expires_at": None}), 403, "expires")
    refused(client.post(f"{path}/{name} endless/rotate"), 403, "expires")
    ok(client.delete(f"{path}/{name} endless"))
