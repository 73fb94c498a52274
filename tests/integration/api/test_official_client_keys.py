"""The field's existing client manages keys, asks who it is and how things are, and tells errors apart."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.account_api import AccountApi
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.api.discovery_api import DiscoveryApi
from mixpeek.api.health_api import HealthApi
from mixpeek.api.namespaces_api import NamespacesApi
from mixpeek.api.organization_api_keys_api import OrganizationAPIKeysApi
from mixpeek.exceptions import (
    BadRequestException,
    ConflictException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
    UnprocessableEntityException,
)
from mixpeek.models.api_key_create_request import APIKeyCreateRequest
from mixpeek.models.api_key_update_request import APIKeyUpdateRequest
from mixpeek.models.permission import Permission
from mixpeek.models.resource_scope_input import ResourceScopeInput

from tests.conftest import API_KEY

Open = Callable[..., ApiClient]


@pytest.fixture
def opened(api_url: str) -> Iterator[Open]:
    """Opens the generated client with a key, in a namespace or none."""
    with ExitStack() as stack:

        def open_client(key: str, namespace: str | None = None) -> ApiClient:
            client = stack.enter_context(ApiClient(Configuration(host=api_url, access_token=key)))
            if namespace:
                client.default_headers["X-Namespace"] = namespace
            return client

        yield open_client


@pytest.fixture
def admin(opened: Open) -> OrganizationAPIKeysApi:
    return OrganizationAPIKeysApi(opened(API_KEY))


@pytest.fixture
def email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def _named(email: str) -> str:
    return f"key of {email}"


def test_a_key_from_its_making_to_its_end(
    admin: OrganizationAPIKeysApi, opened: Open, email: str, namespace: str
) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    request = APIKeyCreateRequest(
        name=_named(email),
        description="d",
        permissions=[Permission.READ],
        scopes=[ResourceScopeInput(resource_type="namespace", resource_id=namespace)],
        expires_at=expires_at,
    )
    made = admin.create_key_organizations_users_email(email, request)
    assert (made.name, made.user_id) == (request.name, email)
    assert (made.status, made.key_type) == ("active", "standard")
    assert (made.permissions, made.expires_at) == ([Permission.READ], expires_at)
    assert (made.scopes[0].resource_type, made.scopes[0].resource_id) == ("namespace", namespace)

    me = AccountApi(opened(made.key)).whoami_me()
    assert (me.user_email, me.key.permissions, me.key.expires_at) == (email, ["read"], expires_at)
    assert (me.account_type, me.principal_scoped) == ("self_hosted", False)

    later = expires_at + timedelta(days=1)
    update = APIKeyUpdateRequest(description="e", permissions=[Permission.WRITE], expires_at=later)
    changed = admin.update_key_organizations_users_email_name(email, request.name, update)
    assert (changed.description, changed.permissions, changed.expires_at) == ("e", [Permission.WRITE], later)
    assert (changed.key_id, changed.key_hash) == (made.key_id, made.key_hash)

    rotated = admin.rotate_key_organizations_users_email_name(email, request.name)
    assert (rotated.key_id, rotated.key != made.key) == (made.key_id, True)
    with pytest.raises(UnauthorizedException):
        AccountApi(opened(made.key)).whoami_me()
    assert AccountApi(opened(rotated.key)).whoami_me().key.permissions == ["write"]

    listed = admin.list_keys_organizations_users_email(email, include_session_keys=True)
    assert [each["name"] for each in listed["results"]] == [request.name]
    for _ in range(2):
        deleted = admin.delete_key_organizations_users_email_name(email, request.name, force=True)
        assert deleted.success is True
    with pytest.raises(UnauthorizedException):
        AccountApi(opened(rotated.key)).whoami_me()
    assert admin.list_keys_organizations_users_email(email)["total"] == 0
    assert admin.list_keys_organizations_users_email(email, include_revoked=True)["total"] == 1


def test_a_key_that_is_limited_to_a_namespace_sees_no_other(
    admin: OrganizationAPIKeysApi, opened: Open, email: str, namespace: str
) -> None:
    other = NamespacesApi(opened(API_KEY)).create_namespace({"namespace_name": f"not for {email}"[:64]})
    scopes = [ResourceScopeInput(resource_type="namespace", resource_id=namespace)]
    request = APIKeyCreateRequest(name=_named(email), permissions=[Permission.WRITE], scopes=scopes)
    key = admin.create_key_organizations_users_email(email, request).key
    inside, outside = opened(key, namespace), opened(key, other.namespace_id)
    books = {"collection_name": "books", "source": {"type": "direct_upsert"}}
    CollectionsApi(inside).create_collection(books)
    with pytest.raises(NotFoundException) as hidden:
        CollectionsApi(outside).create_collection(books)
    assert hidden.value.data.error.code == "namespace_not_found"
    assert CollectionsApi(outside).list_collections().warnings[0].reason == "unresolved"
    seen = NamespacesApi(inside).list_namespaces()
    assert [each.namespace_id for each in seen.results] == [namespace]


def test_each_permission_holds_those_below_it(
    admin: OrganizationAPIKeysApi, opened: Open, email: str, namespace: str
) -> None:
    def collections(permission: Permission) -> CollectionsApi:
        request = APIKeyCreateRequest(name=f"{permission.value} {_named(email)}", permissions=[permission])
        return CollectionsApi(
            opened(admin.create_key_organizations_users_email(email, request).key, namespace)
        )

    reader, writer, deleter = (
        collections(each) for each in (Permission.READ, Permission.WRITE, Permission.DELETE)
    )
    writer.create_collection({"collection_name": "books", "source": {"type": "direct_upsert"}})
    assert reader.get_collection("books").collection_name == "books"
    for powerless in (reader, writer):
        with pytest.raises(ForbiddenException) as forbidden:
            powerless.delete_collection("books")
        assert forbidden.value.data.error.type == "ForbiddenError"
    deleter.update_collection("books", {"description": "Old."})
    deleter.delete_collection("books")
    with pytest.raises(NotFoundException):
        reader.get_collection("books")


def test_a_missing_permission_and_a_bad_value_have_parsed_bodies(
    admin: OrganizationAPIKeysApi, opened: Open, email: str, namespace: str
) -> None:
    made = admin.create_key_organizations_users_email(email, {"name": _named(email), "permissions": ["read"]})
    reader = opened(made.key, namespace)
    with pytest.raises(ForbiddenException) as forbidden:
        CollectionsApi(reader).create_collection(
            {"collection_name": "abc", "source": {"type": "direct_upsert"}}
        )
    assert (forbidden.value.data.status, forbidden.value.data.error.type) == (403, "ForbiddenError")
    with pytest.raises(ForbiddenException):
        OrganizationAPIKeysApi(reader).list_keys_organizations_users_email(email)
    with pytest.raises(UnprocessableEntityException) as invalid:
        admin.create_key_organizations_users_email(email, {"name": "x", "rate_limit_override": 60})
    assert invalid.value.data.error.details["validation_errors"][0]["loc"] == ["rate_limit_override"]


def test_each_refusal_is_an_exception_of_its_own(
    admin: OrganizationAPIKeysApi, opened: Open, email: str
) -> None:
    with pytest.raises(UnauthorizedException) as unauthorized:
        AccountApi(opened("sk_" + "0" * 32)).whoami_me()
    assert unauthorized.value.data.error.type == "UnauthorizedError"
    with pytest.raises(NotFoundException) as missing:
        admin.rotate_key_organizations_users_email_name(email, "nobody")
    assert "nobody" in missing.value.data.error.message
    with pytest.raises(ConflictException) as protected:
        admin.delete_key_organizations_users_email_name("admin@localhost", "admin-key")
    assert "protected" in protected.value.body
    admin.create_key_organizations_users_email(email, {"name": _named(email)})
    with pytest.raises(ConflictException) as taken:
        admin.create_key_organizations_users_email(email, {"name": _named(email)})
    assert "key_name_taken" in taken.value.body
    with pytest.raises(BadRequestException) as nowhere:
        CollectionsApi(opened(API_KEY)).get_collection("x")
    assert nowhere.value.data.error.code == "namespace_missing"
    with pytest.raises(ServiceException) as not_built:
        DiscoveryApi(opened(API_KEY)).get_manifest_schema_discovery()
    assert not_built.value.status == 501


def test_health(opened: Open) -> None:
    health = HealthApi(opened(API_KEY))
    report = health.healthcheck_deep_health(deep=True, metrics=True)
    services = report.data
    assert (services.cache, services.metadata, services.vector_store, services.object_storage) == (True,) * 4
    assert set(report.meta) == {"version", "workers", "metrics"}
    assert set(health.celery_beat_health()) == {"beat_running", "last_heartbeat", "age_seconds"}
    with pytest.raises(UnauthorizedException):
        HealthApi(opened("")).healthcheck_deep_health()


def test_discovery(opened: Open) -> None:
    discovery = DiscoveryApi(opened(API_KEY))
    everything = discovery.get_all_discovery()
    assert everything.stages == discovery.list_stages_with_examples_discovery()
    assert everything.extractors == discovery.list_extractors_discovery()
    assert everything.manifest_schema is None
    assert {each.name for each in everything.extractors} == {"text_extractor", "passthrough_extractor"}
    assert "attribute_filter" in {each.stage_id for each in everything.stages}
