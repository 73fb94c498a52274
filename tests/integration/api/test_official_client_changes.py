"""The field's existing client changes, copies and counts namespaces, collections and retrievers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.collection_documents_api import CollectionDocumentsApi
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.api.documents_api import DocumentsApi
from mixpeek.api.namespaces_api import NamespacesApi
from mixpeek.api.retrievers_api import RetrieversApi
from mixpeek.exceptions import (
    ConflictException,
    NotFoundException,
    UnauthorizedException,
    UnprocessableEntityException,
)

from tests.conftest import API_KEY


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    """The generated client, inside a fresh namespace."""
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        yield client


def test_namespaces_are_changed_and_counted(client: ApiClient, namespace: str) -> None:
    namespaces = NamespacesApi(client)
    CollectionsApi(client).create_collection(
        {"collection_name": "books", "source": {"type": "direct_upsert"}}
    )
    CollectionDocumentsApi(client).create_document("books", {"title": "Emma"})

    stats = namespaces.get_namespace_stats(namespace)
    assert (stats.collection_count, stats.document_count, stats.bucket_count) == (1, 1, 0)
    many = namespaces.get_namespace_stats_batch({"namespace_ids": [stats.namespace_id, "ns_nobody"]})
    assert list(many.stats) == [stats.namespace_id]

    patched = namespaces.patch_namespace(namespace, {"description": "For reading."})
    assert (patched.namespace_id, patched.description) == (stats.namespace_id, "For reading.")
    renamed = namespaces.update_namespace(namespace, {"namespace_name": f"{namespace} again"})
    assert (renamed.namespace_name, renamed.description) == (f"{namespace} again", "For reading.")
    newest = namespaces.list_namespaces_get(limit=100).results
    assert stats.namespace_id in {each.namespace_id for each in newest}


def test_collections_are_changed_and_copied(client: ApiClient) -> None:
    collections = CollectionsApi(client)
    books = collections.create_collection({"collection_name": "books", "source": {"type": "direct_upsert"}})
    changed = collections.update_collection("books", {"collection_name": "novels", "metadata": {"by": "me"}})
    assert (changed.collection_id, changed.metadata) == (books.collection_id, {"by": "me"})
    copy = collections.clone_collection("novels", {"collection_name": "novels 2"}).collection
    assert copy.collection_id != books.collection_id
    assert collections.get_collection("novels 2").collection_id == copy.collection_id
    with pytest.raises(ConflictException) as taken:
        collections.clone_collection("novels", {"collection_name": "novels 2"})
    assert taken.value.status == 409


def test_retrievers_are_changed_and_copied(client: ApiClient) -> None:
    retrievers = RetrieversApi(client)
    stage = {
        "stage_name": "by year",
        "config": {"stage_id": "sort_attribute", "parameters": {"field": "year", "direction": "desc"}},
    }
    made = retrievers.create_retriever({"retriever_name": "by year", "stages": [stage]})
    patched = retrievers.patch_retriever(made.retriever_id, {"description": "Newest first."})
    assert (patched.retriever.description, patched.retriever.version) == ("Newest first.", made.version + 1)
    copy = retrievers.clone_retriever(made.retriever_id, {"retriever_name": "by year 2"}).retriever
    assert (copy.retriever_name, copy.description) == ("by year 2", "Newest first.")
    with pytest.raises(UnprocessableEntityException) as refused:
        retrievers.patch_retriever(made.retriever_id, {"stages": []})
    assert refused.value.data.error.details["validation_errors"][0]["loc"] == ["stages"]
    with pytest.raises(NotFoundException):
        retrievers.patch_retriever("ret_nobody", {"description": "Lost."})


def test_a_document_is_found_without_its_collection(client: ApiClient) -> None:
    CollectionsApi(client).create_collection(
        {"collection_name": "books", "source": {"type": "direct_upsert"}}
    )
    made = CollectionDocumentsApi(client).create_document("books", {"title": "Emma"})
    assert DocumentsApi(client).get_document_ns(made.document_id).document_id == made.document_id
    with pytest.raises(NotFoundException) as missing:
        DocumentsApi(client).get_document_ns("nobody")
    assert missing.value.data.error.type == "NotFoundError"


def test_a_wrong_key_is_told(api_url: str, namespace: str) -> None:
    with ApiClient(Configuration(host=api_url, access_token="sk_wrong")) as stranger:
        stranger.default_headers["X-Namespace"] = namespace
        with pytest.raises(UnauthorizedException) as refused:
            CollectionsApi(stranger).list_collections_get()
    assert (refused.value.status, refused.value.data.error.type) == (401, "UnauthorizedError")
