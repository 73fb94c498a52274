"""The field's client builds its own request models, and reads every kind of list from end to end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.api.namespaces_api import NamespacesApi
from mixpeek.api.retrievers_api import RetrieversApi
from mixpeek.api.tasks_api import TasksApi
from mixpeek.exceptions import (
    BadRequestException,
    ConflictException,
    NotFoundException,
    UnprocessableEntityException,
)
from mixpeek.models.clone_collection_request import CloneCollectionRequest
from mixpeek.models.clone_retriever_request import CloneRetrieverRequest
from mixpeek.models.create_collection_request import CreateCollectionRequest
from mixpeek.models.create_namespace_request import CreateNamespaceRequest
from mixpeek.models.create_retriever_request import CreateRetrieverRequest
from mixpeek.models.list_collections_request import ListCollectionsRequest
from mixpeek.models.list_executions_request import ListExecutionsRequest
from mixpeek.models.list_namespaces_request import ListNamespacesRequest
from mixpeek.models.list_retrievers_request import ListRetrieversRequest
from mixpeek.models.patch_namespace_request import PatchNamespaceRequest
from mixpeek.models.patch_retriever_request import PatchRetrieverRequest
from mixpeek.models.update_namespace_request import UpdateNamespaceRequest

from tests.conftest import API_KEY

YEAR = {"field_name": "year", "type": "integer"}
TEXT = {"feature_extractor_name": "text_extractor", "version": "v1"}
BY_YEAR = {
    "stage_name": "by year",
    "stage_type": "sort",
    "config": {"stage_id": "sort_attribute", "parameters": {"field": "year", "direction": "desc"}},
}


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    """The generated client, inside a fresh namespace."""
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        yield client


def place(refusal: Any) -> list[Any]:
    """Where the first thing is that a 422 refuses."""
    found: list[Any] = refusal.value.data.error.details["validation_errors"][0]["loc"]
    return found


def descending(field: str) -> dict[str, Any]:
    return {"sorts": [{"field": field, "direction": "desc"}]}


def test_namespaces_from_making_to_deletion(client: ApiClient) -> None:
    namespaces, tag = NamespacesApi(client), secrets.token_hex(6)
    request = {
        "namespace_name": f"a {tag}",
        "description": "d",
        "feature_extractors": [TEXT],
        "payload_indexes": [YEAR],
    }
    made = namespaces.create_namespace(CreateNamespaceRequest.from_dict(request))
    assert (made.description, made.mode, made.document_count) == ("d", "managed", 0)
    assert made.feature_extractors[0].feature_extractor_id == "text_extractor_v1"
    assert [(each.field_name, each.type) for each in made.payload_indexes] == [("year", "integer")]
    with pytest.raises(ConflictException) as taken:
        namespaces.create_namespace(CreateNamespaceRequest.from_dict(request))
    assert "namespace_name_taken" in taken.value.body

    no_index = UpdateNamespaceRequest.from_dict({"payload_indexes": []})
    assert namespaces.update_namespace(made.namespace_id, no_index).payload_indexes == []
    index = PatchNamespaceRequest.from_dict({"payload_indexes": [YEAR]})
    assert len(namespaces.patch_namespace(made.namespace_id, index).payload_indexes) == 1
    with pytest.raises(UnprocessableEntityException) as refused:
        namespaces.patch_namespace(made.namespace_id, PatchNamespaceRequest.from_dict({"ttl_seconds": 3600}))
    assert place(refused) == ["ttl_seconds"]

    gone: Any = namespaces.delete_namespace(made.namespace_id, force=True)
    task = TasksApi(client).get_task(gone["task_id"])
    assert (task.task_type, task.inputs[0].actual_instance) == ("api_namespaces_delete", made.namespace_id)
    with pytest.raises(NotFoundException) as missing:
        namespaces.get_namespace_stats(made.namespace_id)
    assert missing.value.data.error.code == "namespace_not_found"


def test_lists_of_namespaces(client: ApiClient) -> None:
    namespaces, tag = NamespacesApi(client), secrets.token_hex(6)
    for letter in "abc":
        namespaces.create_namespace(CreateNamespaceRequest.from_dict({"namespace_name": f"{letter} {tag}"}))
    request = ListNamespacesRequest.from_dict({"search": tag, **descending("namespace_name")})
    first = namespaces.list_namespaces(limit=2, include_total=True, list_namespaces_request=request)
    assert (first.total_count, first.pagination.total, first.pagination.total_pages) == (3, 3, 2)
    rest = namespaces.list_namespaces(
        limit=2, cursor=first.pagination.next_cursor, list_namespaces_request=request
    )
    assert rest.pagination.next_cursor is None
    found = [each.namespace_name for each in first.results + rest.results]
    assert found == [f"c {tag}", f"b {tag}", f"a {tag}"]
    one = namespaces.list_namespaces(
        view="summary",
        include_system=True,
        list_namespaces_request=ListNamespacesRequest.from_dict({"filters": {"namespace_name": f"b {tag}"}}),
    )
    assert [each.namespace_name for each in one.results] == [f"b {tag}"]
    with pytest.raises(BadRequestException) as bad:
        namespaces.list_namespaces_get(cursor="nonsense")
    assert bad.value.data.error.type == "BadRequestError"


def test_lists_of_collections(client: ApiClient) -> None:
    collections = CollectionsApi(client)
    for name in ("books", "novels", "films"):
        body = {"collection_name": name, "source": {"type": "none"}, "metadata": {"of": name}}
        made = collections.create_collection(CreateCollectionRequest.from_dict(body))
        assert (made.collection_name, made.metadata, made.source.type) == (name, {"of": name}, "none")
    request = ListCollectionsRequest.from_dict(descending("collection_name"))
    first = collections.list_collections(limit=2, include_total=True, list_collections_request=request)
    rest = collections.list_collections(
        limit=2, cursor=first.pagination.next_cursor, list_collections_request=request
    )
    found = [each.collection_name for each in first.results + rest.results]
    assert (found, first.pagination.total) == (["novels", "films", "books"], 3)
    second = collections.list_collections_get(search="*s", page=2, page_size=2)
    assert [each.collection_name for each in second.results] == ["books"]
    one = ListCollectionsRequest.from_dict(
        {"filters": {"AND": [{"field": "collection_name", "operator": "starts_with", "value": "nov"}]}}
    )
    assert collections.list_collections(list_collections_request=one).total_count == 1


def test_what_a_collection_refuses(client: ApiClient) -> None:
    collections = CollectionsApi(client)
    body = {"collection_name": "books", "source": {"type": "direct_upsert"}, "feature_extractor": TEXT}
    collections.create_collection(CreateCollectionRequest.from_dict(body))
    with pytest.raises(UnprocessableEntityException) as short:
        collections.create_collection({**body, "collection_name": "x"})
    assert place(short) == ["collection_name"]
    with pytest.raises(UnprocessableEntityException) as fixed:
        collections.update_collection("books", {"source": {"type": "none"}})
    assert place(fixed) == ["source"]
    for lost in (collections.get_collection, collections.delete_collection):
        with pytest.raises(NotFoundException):
            lost("nobody")
    copy = CloneCollectionRequest.from_dict(
        {"collection_name": "off", "enabled": False, "metadata": {"a": 1}}
    )
    cloned = collections.clone_collection("books", copy).collection
    assert (cloned.enabled, cloned.metadata) == (False, {"a": 1})
    assert cloned.feature_extractor.feature_extractor_name == "text_extractor"


def test_lists_in_a_namespace_that_is_not_there_are_empty_and_say_so(client: ApiClient) -> None:
    client.default_headers["X-Namespace"] = "nowhere"
    retrievers = RetrieversApi(client).list_retrievers()
    collections = CollectionsApi(client).list_collections()
    for listed in (retrievers, collections):
        assert (listed.results, listed.warnings[0].reason) == ([], "unresolved")
    with pytest.raises(NotFoundException) as missing:
        CollectionsApi(client).get_collection("books")
    assert missing.value.data.error.code == "namespace_not_found"


def test_lists_and_versions_of_retrievers(client: ApiClient) -> None:
    retrievers = RetrieversApi(client)
    body = {
        "stages": [BY_YEAR],
        "input_schema": {"least": {"type": "integer", "default": 3, "description": "Of the years."}},
        "budget_limits": {"max_credits": 5.0},
        "visibility": "private",
    }
    for name in ("one", "two", "three"):
        request = {**body, "retriever_name": name, "tags": [name], "metadata": {"of": name}}
        made = retrievers.create_retriever(CreateRetrieverRequest.from_dict(request))
        assert (made.retriever_name, made.version, made.metadata) == (name, 1, {"of": name})
        assert (made.input_schema["least"].default, made.budget_limits.max_credits) == (3, 5.0)
    by_name = ListRetrieversRequest.from_dict(descending("retriever_name"))
    first = retrievers.list_retrievers(limit=2, list_retrievers_request=by_name)
    rest = retrievers.list_retrievers(
        limit=2, cursor=first.pagination.next_cursor, list_retrievers_request=by_name
    )
    assert [each.retriever_name for each in first.results + rest.results] == ["two", "three", "one"]
    tagged = {"filters": {"AND": [{"field": "tags", "operator": "contains", "value": "three"}]}}
    found = retrievers.list_retrievers(list_retrievers_request=ListRetrieversRequest.from_dict(tagged))
    assert (found.total, found.results[0].retriever_name) == (1, "three")

    wider = {"least": {"type": "integer", "default": 4}, "most": {"type": "integer"}}
    patch = PatchRetrieverRequest.from_dict({"input_schema": wider, "tags": [], "stages": [BY_YEAR]})
    patched = retrievers.patch_retriever("one", patch).retriever
    assert (patched.version, patched.tags, set(patched.input_schema)) == (2, [], {"least", "most"})
    for change, where in (
        ({"input_schema": {**wider, "least": {"type": "string"}}}, ["input_schema", "least"]),
        ({"budget_limits": {"max_credits": 1.0}}, ["budget_limits"]),
    ):
        with pytest.raises(UnprocessableEntityException) as breaking:
            retrievers.patch_retriever("one", PatchRetrieverRequest.from_dict(change))
        assert place(breaking) == where
    copy = {"retriever_name": "four", "budget_limits": {"max_time_ms": 5}, "display_config": _shown("Four")}
    cloned = retrievers.clone_retriever("one", CloneRetrieverRequest.from_dict(copy)).retriever
    assert (cloned.version, cloned.budget_limits.max_time_ms) == (1, 5)
    assert cloned.display_config["title"] == "Four"


def _shown(title: str) -> dict[str, Any]:
    return {"title": title, "inputs": [], "layout": {"mode": "grid"}, "exposed_fields": ["year"]}


def test_what_a_retriever_refuses(client: ApiClient) -> None:
    retrievers = RetrieversApi(client)
    body = {"retriever_name": "one", "stages": [BY_YEAR]}
    retrievers.create_retriever(body)
    with pytest.raises(ConflictException):
        retrievers.create_retriever(body)
    with pytest.raises(NotFoundException) as missing:
        retrievers.create_retriever({**body, "retriever_name": "two", "collection_identifiers": ["nobody"]})
    assert "nobody" in missing.value.data.error.message
    for lost in (
        retrievers.get_retriever,
        retrievers.delete_retriever,
        retrievers.list_executions_retrievers,
    ):
        with pytest.raises(NotFoundException):
            lost("nobody")
    with pytest.raises(UnprocessableEntityException) as wrong:
        retrievers.list_executions_retrievers(
            "one", list_executions_request=ListExecutionsRequest.from_dict({"status": "weird"})
        )
    assert place(wrong) == ["status"]
