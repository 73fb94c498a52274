"""Who may call what."""

from __future__ import annotations

import httpx
import pytest
import redis

from shared.stores.api_keys import create_key, revoke_key
from tests.integration.api.answers import ok, refused
from tests.waiting import wait_until


def _with_key(api_url: str, secret: str, namespace: str = "") -> httpx.Client:
    headers = {"Authorization": f"Bearer {secret}"} | ({"X-Namespace": namespace} if namespace else {})
    return httpx.Client(base_url=api_url, headers=headers, timeout=30)


@pytest.fixture
def key_name(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic sk_x", "sk_x", "Bearer sk_" + "x" * 600])
def test_a_missing_or_malformed_key_is_401(api_url: str, header: str | None) -> None:
    response = httpx.get(f"{api_url}/v1/me", headers={"Authorization": header} if header is not None else {})
    assert refused(response, 401)["type"] == "UnauthorizedError"
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_an_unknown_key_is_401_even_with_an_unknown_namespace(api_url: str) -> None:
    with _with_key(api_url, "sk_" + "0" * 32, "nowhere") as client:
        refused(client.get("/v1/collections/x"), 401)


def test_a_revoked_key_is_refused_within_two_seconds(
    api_url: str, redis_client: redis.Redis, key_name: str
) -> None:
    secret, _ = create_key(redis_client, key_name)
    with _with_key(api_url, secret) as client:
        assert client.get("/v1/me").status_code == 200
        revoke_key(redis_client, key_name)
        wait_until(lambda: client.get("/v1/me").status_code == 401, 2.0, "the revoked key to be refused")


def test_a_new_key_works_at_once(api_url: str, redis_client: redis.Redis, key_name: str) -> None:
    secret = "sk_" + "n" * 32
    with _with_key(api_url, secret) as client:
        refused(client.get("/v1/me"), 401)
        create_key(redis_client, key_name, secret=secret)
        assert ok(client.get("/v1/me"))["key"]["name"] == key_name


def test_me_shows_the_key_and_never_its_secret(root: httpx.Client) -> None:
    response = root.get("/v1/me")
    me = ok(response)
    assert me["key"]["permissions"] == ["admin", "delete", "read", "write"]
    assert me["principal_scoped"] is False
    assert "sk_" not in response.text


def test_permissions_are_ordered(
    api_url: str, redis_client: redis.Redis, namespace: str, key_name: str
) -> None:
    allowed = {"read": [200, 403, 403], "write": [200, 200, 403], "delete": [200, 200, 200]}
    for permission, statuses in allowed.items():
        secret, _ = create_key(redis_client, f"{key_name}-{permission}", permissions=[permission])
        with _with_key(api_url, secret, namespace) as client:
            name = f"for_{permission}"
            seen = [
                client.get("/v1/collections").status_code,
                client.post("/v1/collections", json={"collection_name": name}).status_code,
                client.delete("/v1/collections/for_write").status_code,
            ]
        assert seen == statuses, permission


def test_the_missing_permission_is_named(
    api_url: str, redis_client: redis.Redis, namespace: str, key_name: str
) -> None:
    secret, _ = create_key(redis_client, key_name, permissions=["read"])
    with _with_key(api_url, secret, namespace) as client:
        response = client.post("/v1/collections", json={"collection_name": "abc"})
        assert refused(response, 403, "'write'")["type"] == "ForbiddenError"


def test_a_key_limited_to_a_namespace_sees_no_other(
    api_url: str, root: httpx.Client, redis_client: redis.Redis, namespace: str, key_name: str
) -> None:
    other = ok(root.post("/v1/namespaces", json={"namespace_name": f"{key_name}-other"[-64:]}))[
        "namespace_id"
    ]
    secret, _ = create_key(redis_client, key_name, namespaces=[namespace])
    with _with_key(api_url, secret) as client:
        assert [each["namespace_id"] for each in ok(client.get("/v1/namespaces"))["results"]] == [namespace]
        refused(client.get(f"/v1/namespaces/{other}"), 404)
        refused(client.delete(f"/v1/namespaces/{other}"), 404)
        refused(client.get("/v1/collections/x", headers={"X-Namespace": other}), 404, other)
        refused(client.post("/v1/namespaces", json={"namespace_name": "third"}), 403)


def test_a_call_without_a_namespace_is_400(root: httpx.Client) -> None:
    error = refused(root.get("/v1/collections"), 400, "X-Namespace")
    assert error["code"] == "namespace_missing"


def test_the_query_names_the_namespace_where_the_header_does_not(
    root: httpx.Client, api: httpx.Client
) -> None:
    ok(api.post("/v1/collections", json={"collection_name": "books"}))
    namespace = api.headers["X-Namespace"]
    assert ok(root.get("/v1/collections", params={"namespace": namespace}))["total_count"] == 1
    assert ok(api.get("/v1/collections", params={"namespace": "elsewhere"}))["total_count"] == 1
