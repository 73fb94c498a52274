"""Every method of the field's generated client: a test calls it, or it is refused in the envelope."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mixpeek.api
import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.exceptions import ApiException, UnauthorizedException

from api.main import build_app
from shared.settings import Settings
from tests.conftest import API_KEY

TESTS = Path(__file__).parents[2]
# Classes of the resources that the contract has. Each of their methods is served, answered with 501, or
# one of BESIDE_THE_CONTRACT; those of all other classes are about things that Kennel has not.
OF_THE_CONTRACT = {
    "AccountApi", "AdhocRetrieversApi", "AlertsApi", "AnalyticsRetrieversApi", "BYODocumentsApi",
    "CollectionDocumentsApi", "CollectionsApi", "DiscoveryApi", "DocumentsApi", "HealthApi", "NamespacesApi",
    "OrganizationAPIKeysApi", "OrganizationSecretsApi", "OrganizationUsersApi", "RetrieverBenchmarksApi",
    "RetrieverEvaluationsApi", "RetrieverInteractionsApi", "RetrieverStagesApi", "RetrieversApi", "TasksApi",
    "WebhooksApi",
}  # fmt: skip
BESIDE_THE_CONTRACT = {
    # files, media, lineage and schemas
    "download_document_media", "export_collection", "get_document_ancestors", "get_document_descendants",
    "get_document_diagnostics", "import_collection", "infer_import_schema", "trigger_collection",
    "reconcile_collection_reconciliation", "validate_document_schema", "validate_import_mapping",
    # indexes: every field can be filtered without one
    "ensure_namespace_indexes",
    # both modes of a namespace work alike, so none is promoted
    "promote_namespace", "validate_promotion_namespaces_id_promote",
}  # fmt: skip
# About batches of objects in buckets; Kennel has batches of executions under the same paths.
OTHER_BATCHES = "BatchesApi"
ANONYMOUS = re.compile(r"/v1/(health|health/liveness|health/beat|retrievers/stages|discovery.*)")


class Operation(NamedTuple):
    """A method of the generated client, and what it asks for."""

    class_name: str
    method: str
    verb: str
    path: str

    def named(self) -> tuple[str, str]:
        """Verb and path, whatever the parameters of the path are called."""
        return self.verb, re.sub(r"\{\w+\}", "{}", self.path)


@cache
def client_operations() -> list[Operation]:
    """All that the generated client can ask for, read from its source."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.iter_modules(mixpeek.api.__path__, "mixpeek.api.")
    ]
    return [
        Operation(class_name, name[1:].removesuffix("_serialize"), *_request(function))
        for module in modules
        for class_name, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__
        for name, function in inspect.getmembers(each, inspect.isfunction)
        if name.endswith("_serialize")
    ]


def _request(function: Any) -> tuple[str, str]:
    source = inspect.getsource(function)
    [verb] = re.findall(r"method='(\w+)'", source)
    [path] = re.findall(r"resource_path='([^']+)'", source)
    return verb, path


@cache
def served() -> set[tuple[str, str]]:
    """Verbs and paths of our OpenAPI document."""
    return {
        Operation("", "", verb.upper(), path).named()
        for path, operations in build_app(Settings()).openapi()["paths"].items()
        for verb in operations
    }


def shared_operations() -> list[Operation]:
    return [
        each for each in client_operations() if each.named() in served() and each.class_name != OTHER_BATCHES
    ]


def client_only_operations() -> list[Operation]:
    return [each for each in client_operations() if each.named() not in served()]


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    """The generated client, inside a fresh namespace."""
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        yield client


def refusal(client: ApiClient, operation: Operation) -> ApiException:
    """What the client raises when it asks with "x" for each name in the path and an empty body."""
    request = client.param_serialize(
        operation.verb,
        re.sub(r"\{\w+\}", "x", operation.path),
        header_params={"Content-Type": "application/json"},
        body=None if operation.verb == "GET" else {},
        auth_settings=["BearerAuth"],
    )
    answer = client.call_api(*request)
    answer.read()
    with pytest.raises(ApiException) as raised:
        client.response_deserialize(answer, {"4XX": "ErrorResponse", "5XX": "ErrorResponse"})
    error = raised.value
    assert (error.data.success, error.data.status) == (False, error.status), operation
    assert error.data.error.message and error.data.error.type, operation
    return error


def test_each_operation_that_both_have_is_called_by_a_test() -> None:
    tests = [path.read_text() for path in TESTS.rglob("test_*.py")]

    def is_called(operation: Operation) -> bool:
        uses = rf"\b{operation.class_name}\b[\s\S]*\.{operation.method}\("
        return any(re.search(uses, test) for test in tests)

    assert {each.class_name for each in shared_operations()} <= OF_THE_CONTRACT
    assert [each for each in shared_operations() if not is_called(each)] == []


def test_what_is_not_built_answers_501_and_all_else_404(client: ApiClient) -> None:
    for operation in client_only_operations():
        error = refusal(client, operation)
        if operation.class_name in OF_THE_CONTRACT and operation.method not in BESIDE_THE_CONTRACT:
            assert (error.status, error.data.error.type) == (501, "NotImplementedError"), operation
        else:
            assert error.status in (404, 405, 501), operation
            assert error.status != 405 or error.headers["Allow"], operation


def test_what_is_beside_the_contract_is_not_served() -> None:
    client_only = {each.method for each in client_only_operations() if each.class_name in OF_THE_CONTRACT}
    assert client_only >= BESIDE_THE_CONTRACT


def test_a_wrong_key_may_do_nothing(client: ApiClient) -> None:
    client.configuration.access_token = "sk_wrong"
    for operation in shared_operations():
        if not ANONYMOUS.fullmatch(operation.path):
            error = refusal(client, operation)
            assert isinstance(error, UnauthorizedException), operation
            assert error.data.error.type == "UnauthorizedError"
