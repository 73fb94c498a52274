"""A second opinion: the field's existing client drives the API and parses the answers with its models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.account_api import AccountApi
from mixpeek.api.byo_documents_api import BYODocumentsApi
from mixpeek.api.collection_documents_api import CollectionDocumentsApi
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.api.documents_api import DocumentsApi
from mixpeek.api.health_api import HealthApi
from mixpeek.api.namespaces_api import NamespacesApi
from mixpeek.api.retriever_stages_api import RetrieverStagesApi
from mixpeek.api.retrievers_api import RetrieversApi
from mixpeek.exceptions import ConflictException, NotFoundException, UnprocessableEntityException
from mixpeek.models.logical_operator_input import LogicalOperatorInput
from mixpeek.models.vectors_value import VectorsValue

from tests.conftest import API_KEY


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    """The generated client, inside a fresh namespace."""
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        yield client


def test_identity_and_health(client: ApiClient) -> None:
    assert AccountApi(client).whoami_me().key.name == "admin-key"
    HealthApi(client).healthcheck_health()
    HealthApi(client).liveness_health()


def test_namespaces(client: ApiClient, namespace: str) -> None:
    namespaces = NamespacesApi(client)
    created = namespaces.create_namespace({"namespace_name": f"made in {namespace}", "description": "d"})
    assert namespaces.get_namespace(created.namespace_id).namespace_ready is True
    found = namespaces.list_namespaces(list_namespaces_request={"search": created.namespace_name})
    assert [each.namespace_id for each in found.results] == [created.namespace_id]
    assert found.total_count == 1
    namespaces.delete_namespace(created.namespace_id)
    with pytest.raises(NotFoundException):
        namespaces.get_namespace(created.namespace_id)


def test_collections(client: ApiClient) -> None:
    collections = CollectionsApi(client)
    body = {
        "collection_name": "books",
        "source": {"type": "direct_upsert"},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "title"},
        },
        "input_schema": {"properties": {"title": {"type": "string"}}},
    }
    created = collections.create_collection(body)
    assert created.feature_extractor.feature_extractor_id == "text_extractor_v1"
    with pytest.raises(ConflictException):
        collections.create_collection(body)
    [index] = created.vector_indexes
    assert (index.index["dimensions"], index.index["distance"]) == (256, "cosine")
    [feature] = collections.describe_collection_features("books").features
    assert (feature.feature_uri, feature.primary) == (index.feature_uri, True)
    assert collections.get_collection("books").document_count == 0
    listed = collections.list_collections(list_collections_request={})
    assert [each.collection_name for each in listed.results] == ["books"]
    assert [each.collection_name for each in collections.list_collections_get().results] == ["books"]
    collections.delete_collection("books")
    with pytest.raises(NotFoundException):
        collections.get_collection("books")


def test_documents(client: ApiClient, namespace: str) -> None:
    collection = CollectionsApi(client).create_collection(
        {"collection_name": "books", "source": {"type": "direct_upsert"}}
    )
    documents = CollectionDocumentsApi(client)
    created = documents.create_document("books", {"title": "Emma", "metadata": {"year": 1815}})
    assert documents.get_document("books", created.document_id) == created
    upserted = BYODocumentsApi(client).upsert_documents_byo_namespaces(
        namespace,
        {
            "collection_id": collection.collection_id,
            "documents": [
                {
                    "document_id": "dune",
                    "vectors": {"v": VectorsValue([0.5, 1.0])},
                    "payload": {"title": "Dune"},
                }
            ],
        },
    )
    assert (upserted.inserted, upserted.document_ids) == (1, ["dune"])
    listed = documents.list_documents(
        "books",
        list_documents_request={
            "filters": LogicalOperatorInput.from_dict({"title": "dune"}),
            "sort": {"field": "title", "direction": "desc"},
            "include_total": True,
        },
    )
    assert [each.document_id for each in listed.results] == ["dune"]
    assert listed.pagination.total == 1
    assert documents.count_documents("books").count == 2
    many = DocumentsApi(client).batch_get({"document_ids": ["dune", "nope"]})
    assert many.not_found == ["nope"]
    deleted = documents.batch_delete("books", {"document_ids": ["dune", "nope"]})
    assert (deleted.deleted_count, deleted.failed_count) == (1, 1)
    assert documents.delete_document("books", created.document_id).success is True


def test_retrievers(client: ApiClient) -> None:
    retrievers = RetrieversApi(client)
    stages = RetrieverStagesApi(client).list_stages_retrievers()
    assert "sort_attribute" in {stage.stage_id for stage in stages}
    stage = {
        "stage_name": "sorted",
        "config": {"stage_id": "sort_attribute", "parameters": {"field": "year", "direction": "desc"}},
    }
    body = {
        "retriever_name": "by year",
        "stages": [stage],
        "input_schema": {"query": {"type": "text", "required": True}},
        "budget_limits": {"max_credits": 1.0, "max_time_ms": 500},
    }
    created = retrievers.create_retriever(body)
    assert created.stages[0].parameters["field"] == "year"
    found = retrievers.get_retriever("by year")
    assert (found.retriever_id, found.is_published) == (created.retriever_id, False)
    assert retrievers.list_retrievers(list_retrievers_request={}).total == 1
    assert retrievers.list_retrievers_get().results[0].retriever_name == "by year"
    with pytest.raises(UnprocessableEntityException) as refusal:
        retrievers.create_retriever({**body, "stages": [{**stage, "config": {"stage_id": "nope"}}]})
    assert refusal.value.data.error.details["validation_errors"][0]["loc"] == [
        "stages",
        0,
        "config",
        "stage_id",
    ]
    retrievers.delete_retriever(created.retriever_id)
    with pytest.raises(NotFoundException):
        retrievers.get_retriever("by year")
