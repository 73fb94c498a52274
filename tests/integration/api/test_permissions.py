"""Every operation of the OpenAPI document asks for a key, and for the permission that its effect deserves."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from api.main import build_app
from shared.models.api_key import ALL_PERMISSIONS, Permission
from shared.redis_sync import connect
from shared.settings import Settings
from shared.stores.api_keys import create_key
from tests.integration.api.answers import refused

ANONYMOUS = {
    "/metrics",
    "/v1/health",
    "/v1/health/liveness",
    "/v1/health/beat",
    "/v1/discovery",
    "/v1/discovery/stages",
    "/v1/discovery/extractors",
    "/v1/retrievers/stages",
}


def _operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = build_app(Settings()).openapi()["paths"]
    return [
        (method.upper(), path, operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


OPERATIONS = _operations()
KEYED = [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in OPERATIONS if each[1] not in ANONYMOUS]


_READ_BY_POST = ("/watch", "/list", "/list/batch", "/batch-get", "/aggregate", "/distinct", "/stats/batch")


def _needed(method: str, path: str) -> Permission:
    if "/api-keys" in path or "/webhooks" in path or (method == "PUT" and path.endswith("/limits")):
        return "admin"
    # Whoever may read may run what reads, cancel it, and keep its result longer.
    # An alert tells people what it found, so to run one is to write.
    if path == "/v1/alerts/{alert}/execute":
        return "write"
    runs = "/execute" in path or path.startswith(("/v1/batches", "/v1/tasks"))
    runs = runs or path.endswith(("/cancel", "/extend"))
    if method == "DELETE" and not runs:
        return "delete"
    reads = runs or path.endswith(_READ_BY_POST)
    return "read" if method == "GET" or reads else "write"


def _call(client: httpx.Client, method: str, path: str) -> httpx.Response:
    path = re.sub(r"\{.*?\}", "x", path.replace("{user_email}", "x@example.com"))
    return client.request(method, path, json={})


@pytest.fixture(scope="module")
def secrets_by_permission(redis_url: str) -> dict[Permission, str]:
    with connect(redis_url) as client:
        return {each: create_key(client, f"may {each}", permissions=[each])[0] for each in ALL_PERMISSIONS}


def test_what_is_anonymous_is_what_the_contract_says() -> None:
    described = {path for _, path, operation in OPERATIONS if operation.get("security") == []}
    assert described == ANONYMOUS


@pytest.mark.parametrize("path", sorted(ANONYMOUS))
def test_the_anonymous_ones_need_no_key(api_url: str, path: str) -> None:
    assert httpx.get(f"{api_url}{path}").status_code == 200


@pytest.mark.parametrize(("method", "path", "operation"), KEYED)
def test_nothing_else_is_done_without_the_permission(
    api_url: str,
    namespace: str,
    secrets_by_permission: dict[Permission, str],
    method: str,
    path: str,
    operation: dict[str, Any],
) -> None:
    needed = _needed(method, path)
    assert ("403" in operation["responses"]) == (needed != "read")
    enough = ALL_PERMISSIONS[: ALL_PERMISSIONS.index(needed) + 1]
    with httpx.Client(base_url=api_url, headers={"X-Namespace": namespace}, timeout=30) as client:
        refused(_call(client, method, path), 401)
        for permission, secret in secrets_by_permission.items():
            client.headers["Authorization"] = f"Bearer {secret}"
            response = _call(client, method, path)
            if permission in enough:
                assert response.status_code not in (401, 403, 500, 501), response.text
            else:
                refused(response, 403, f"'{needed}'")
