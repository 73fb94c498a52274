"""The field's client on documents: its request models are sent, its response models read each answer."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from mixpeek import ApiClient, Configuration
from mixpeek.api.byo_documents_api import BYODocumentsApi
from mixpeek.api.collection_documents_api import CollectionDocumentsApi
from mixpeek.api.collections_api import CollectionsApi
from mixpeek.api.documents_api import DocumentsApi
from mixpeek.api.namespaces_api import NamespacesApi
from mixpeek.exceptions import (
    ApiException,
    ConflictException,
    NotFoundException,
    UnprocessableEntityException,
)
from mixpeek.models.batch_delete_documents_request import BatchDeleteDocumentsRequest
from mixpeek.models.batch_get_documents_request import BatchGetDocumentsRequest
from mixpeek.models.batch_list_documents_request import BatchListDocumentsRequest
from mixpeek.models.batch_update_documents_request import BatchUpdateDocumentsRequest
from mixpeek.models.bulk_update_documents_request import BulkUpdateDocumentsRequest
from mixpeek.models.byo_upsert_request import BYOUpsertRequest
from mixpeek.models.create_standalone_namespace_request_model import CreateStandaloneNamespaceRequestModel
from mixpeek.models.distinct_values_request import DistinctValuesRequest
from mixpeek.models.document_aggregation_request import DocumentAggregationRequest
from mixpeek.models.document_create_request import DocumentCreateRequest
from mixpeek.models.list_documents_request import ListDocumentsRequest
from mixpeek.models.namespace_list_documents_request import NamespaceListDocumentsRequest
from mixpeek.models.vectors_value import VectorsValue

from tests.conftest import API_KEY

BOOKS = {
    "emma": {"title": "Emma", "year": 1815, "shelf": "A"},
    "dune": {"title": "Dune", "year": 1965, "shelf": "B", "metadata": {"x": 1, "y": 2}},
    "ulysses": {"title": "Ulysses", "year": 1922, "shelf": "A", "like": ["emma", "dune"]},
}


@pytest.fixture
def client(api_url: str, namespace: str) -> Iterator[ApiClient]:
    """The generated client, in a fresh namespace whose collection `books` holds BOOKS."""
    with ApiClient(Configuration(host=api_url, access_token=API_KEY)) as client:
        client.default_headers["X-Namespace"] = namespace
        CollectionsApi(client).create_collection(
            {"collection_name": "books", "source": {"type": "direct_upsert"}}
        )
        upsert(client, namespace, BOOKS, collection_id="books")
        yield client


def upsert(client: ApiClient, namespace: str, books: dict[str, Any], **over: Any) -> Any:
    documents = [
        {"document_id": document_id, "vectors": {}, "payload": payload}
        for document_id, payload in books.items()
    ]
    return BYODocumentsApi(client).upsert_documents_byo_namespaces(
        namespace, {"documents": documents, **over}
    )


def ids(documents: Any) -> list[str]:
    return [each.document_id for each in documents]


def place(refusal: Any) -> list[Any]:
    """Where the first thing is that a 422 refuses."""
    found: list[Any] = refusal.value.data.error.details["validation_errors"][0]["loc"]
    return found


def test_patch_and_put(client: ApiClient) -> None:
    documents, anywhere = CollectionDocumentsApi(client), DocumentsApi(client)
    patched = documents.patch_document("books", "dune", {"metadata": {"x": None, "z": 3}})
    assert patched.additional_properties["metadata"] == {"y": 2, "z": 3}
    assert patched.additional_properties["title"] == "Dune"
    documents.update_document("books", "dune", {"title": "Dune II"})
    anywhere.update_document_ns("dune", {"year": 1969})
    last = anywhere.patch_document_ns("dune", {"shelf": None})
    assert last == documents.get_document("books", "dune")
    assert last.additional_properties["title"] == "Dune II"
    assert (last.additional_properties["year"], last.additional_properties["shelf"]) == (1969, None)
    for change in (documents.patch_document, documents.update_document):
        with pytest.raises(NotFoundException):
            change("books", "nope", {"a": 1})
        with pytest.raises(UnprocessableEntityException) as refusal:
            change("books", "dune", {"vectors": {"v": [1]}})
        assert place(refusal) == ["vectors"]


def test_batch_and_bulk_updates(client: ApiClient) -> None:
    documents = CollectionDocumentsApi(client)
    updates = [
        {"document_id": "dune", "update_data": {"metadata.x": 5}},
        {"document_id": "nope", "update_data": {"a": 1}},
    ]
    answer = documents.batch_update("books", BatchUpdateDocumentsRequest.from_dict({"updates": updates}))
    assert (answer.updated_count, answer.failed_count) == (1, 1)
    assert [(each.document_id, each.success) for each in answer.results] == [("dune", True), ("nope", False)]
    metadata = documents.get_document("books", "dune").additional_properties["metadata"]
    assert metadata == {"x": 5, "y": 2}
    on_a = {"AND": [{"field": "shelf", "operator": "eq", "value": "A"}]}
    body = {"filters": on_a, "update_data": {"seen": True}}
    assert documents.batch_update("books", BatchUpdateDocumentsRequest.from_dict(body)).updated_count == 2
    done = documents.bulk_update("books", BulkUpdateDocumentsRequest.from_dict({"update_data": {"n": 1}}))
    assert (done.status, done.updated_count, done.task_id) == ("COMPLETED", 3, None)
    some = documents.bulk_update("books", BulkUpdateDocumentsRequest.from_dict(body))
    assert some.updated_count == 2
    with pytest.raises(UnprocessableEntityException):
        documents.batch_update("books", BatchUpdateDocumentsRequest.from_dict({}))
    with pytest.raises(UnprocessableEntityException) as refusal:
        documents.bulk_update("books", {"update_data": {"vectors.v": [1]}})
    assert place(refusal) == ["update_data", "vectors.v"]


def test_aggregation_and_distinct_values(client: ApiClient) -> None:
    documents = CollectionDocumentsApi(client)
    body = {
        "group_by": [{"field": "shelf"}],
        "aggregations": [
            {"function": "count", "alias": "books"},
            {"function": "avg", "field": "year", "alias": "mean"},
        ],
        "having": [{"field": "books", "operator": "gte", "value": 1}],
        "sort_by": "mean",
        "limit": 5,
    }
    found = documents.aggregate_documents("books", DocumentAggregationRequest.from_dict(body))
    assert [(row.group, row.metrics) for row in found.results] == [
        ({"shelf": "B"}, {"books": 1, "mean": 1965.0}),
        ({"shelf": "A"}, {"books": 2, "mean": 1868.5}),
    ]
    assert found.total_groups == 2
    buckets = {
        "aggregations": [{"function": "count", "alias": "n"}],
        "range_buckets": [{"field": "year", "boundaries": [1800, 1900, 2000]}],
        "sort_by": "n",
    }
    found = documents.aggregate_documents("books", DocumentAggregationRequest.from_dict(buckets))
    assert [row.group for row in found.results] == [{"year": "1900-2000"}, {"year": "1800-1900"}]
    shelves = documents.distinct_document_values("books", DistinctValuesRequest.from_dict({"field": "shelf"}))
    assert [(each.value, each.count) for each in shelves.values] == [("A", 2), ("B", 1)]
    assert shelves.total_distinct == 2
    with pytest.raises(UnprocessableEntityException) as refusal:
        documents.aggregate_documents("books", {"aggregations": [{"function": "sum", "alias": "s"}]})
    assert place(refusal) == ["aggregations", 0]
    with pytest.raises(NotFoundException):
        documents.distinct_document_values("nope", {"field": "shelf"})


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (
            {"group_by": [{"field": "read_at", "date_trunc": "month", "alias": "month"}], "sort_by": "month"},
            [({"month": "2024-02-01T00:00:00Z"}, 1), ({"month": "2024-01-01T00:00:00Z"}, 2)],
        ),
        (
            {"group_by": [{"field": "read_at", "date_part": "dayOfWeek", "alias": "day"}], "sort_by": "n"},
            [({"day": "6"}, 2), ({"day": "2"}, 1)],
        ),
        (
            {"unwind": "tags", "group_by": [{"field": "tags"}], "sort_by": "n"},
            [({"tags": "long"}, 2), ({"tags": "sand"}, 1)],
        ),
        (
            {"range_buckets": [{"field": "pages", "boundaries": [0, 500], "default_bucket": "thick"}]},
            [({"pages": "thick"}, 2), ({"pages": "0-500"}, 1)],
        ),
        (
            {
                "group_by": [{"field": "tags"}],
                "unwind": "tags",
                "having": [{"field": "n", "operator": "lt", "value": 2}],
            },
            [({"tags": "sand"}, 1)],
        ),
        ({"filters": {"AND": [{"field": "pages", "operator": "gt", "value": 450}]}}, [({}, 2)]),
    ],
    ids=["month", "weekday", "unwind", "ranges", "having", "filters"],
)
def test_groups_of_an_aggregation(
    client: ApiClient, namespace: str, body: dict[str, Any], rows: list[tuple[dict[str, Any], int]]
) -> None:
    read = {
        "emma": {"read_at": "2024-01-05T10:00:00Z", "tags": [], "pages": 400},
        "dune": {"read_at": "2024-01-26T22:00:00Z", "tags": ["long", "sand"], "pages": 600},
        "ulysses": {"read_at": "2024-02-05T10:00:00Z", "tags": ["long"], "pages": 700},
    }
    upsert(client, namespace, read, collection_id="books")
    counting = {"aggregations": [{"function": "count", "alias": "n"}], "sort_by": "n", **body}
    request = DocumentAggregationRequest.from_dict(counting)
    found = CollectionDocumentsApi(client).aggregate_documents("books", request)
    assert [(row.group, row.metrics["n"]) for row in found.results] == rows


def test_figures_of_an_aggregation(client: ApiClient) -> None:
    figures = ["min", "max", "sum", "avg", "count_distinct"]
    body = {"aggregations": [{"function": each, "field": "year", "alias": each} for each in figures]}
    body["aggregations"] += [{"function": "add_to_set", "field": "shelf", "alias": "shelves"}]
    body["group_by"] = [{"field": "metadata.x", "alias": "x"}]
    request = DocumentAggregationRequest.from_dict({**body, "sort_by": "max", "sort_direction": "asc"})
    found = CollectionDocumentsApi(client).aggregate_documents("books", request)
    old, new = found.results
    assert (old.group, new.group) == ({"x": None}, {"x": "1"})
    assert [old.metrics[each] for each in figures] == [1815, 1922, 3737, 1868.5, 2]
    assert (old.metrics["shelves"], new.metrics["shelves"]) == (["A"], ["B"])


def test_vectors_of_a_document(client: ApiClient, namespace: str) -> None:
    vectors = {"one": [1.0, 2.0], "many": [[1.0, 0.0], [0.0, 1.0]]}
    document = {"document_id": "v", "vectors": vectors, "payload": {"title": "V"}, "metadata": {"hidden": 1}}
    request = BYOUpsertRequest.from_dict({"documents": [document], "collection_id": "books"})
    assert BYODocumentsApi(client).upsert_documents_byo_namespaces(namespace, request).inserted == 1
    documents, anywhere = CollectionDocumentsApi(client), DocumentsApi(client)
    named = documents.get_document("books", "v", return_vector_names="true").to_dict()
    assert (sorted(named["_vectors"]), named["_internal"]["metadata"]) == (["many", "one"], {"hidden": 1})
    chosen = documents.get_document("books", "v", return_vectors=True, return_vector_names="one").to_dict()
    assert (chosen["one"], "many" in chosen) == ([1.0, 2.0], False)
    whole = anywhere.get_document_ns("v", return_vectors=True).additional_properties
    assert (whole["one"], whole["many"]) == (vectors["one"], vectors["many"])
    request = ListDocumentsRequest.from_dict({"filters": {"title": "V"}, "return_vectors": True})
    [listed] = documents.list_documents("books", list_documents_request=request).results
    assert listed.additional_properties["one"] == [1.0, 2.0]
    indexes = CollectionsApi(client).get_collection("books").vector_indexes
    assert {index.name: index.type for index in indexes} == {"one": "single", "many": "multi"}
    sparse = {**document, "vectors": {"one": {"indices": [1], "values": [0.5]}}}
    with pytest.raises(UnprocessableEntityException) as refusal:
        BYODocumentsApi(client).upsert_documents_byo_namespaces(
            namespace, BYOUpsertRequest.from_dict({"documents": [sparse]})
        )
    assert place(refusal) == ["documents", 0, "vectors", "one"]


def test_documents_are_deleted_by_filter(client: ApiClient) -> None:
    documents = CollectionDocumentsApi(client)
    on_a = {"AND": [{"field": "shelf", "operator": "eq", "value": "A"}]}
    body = BatchDeleteDocumentsRequest.from_dict({"filters": on_a, "reason": "sold"})
    deleted = documents.batch_delete("books", body)
    assert (deleted.deleted_count, deleted.results) == (2, [])
    left = DocumentsApi(client).batch_get(BatchGetDocumentsRequest.from_dict({"document_ids": [*BOOKS]}))
    assert (ids(left.documents), left.not_found) == (["dune"], ["emma", "ulysses"])
    with pytest.raises(UnprocessableEntityException) as refusal:
        documents.batch_delete("books", BatchDeleteDocumentsRequest.from_dict({}))
    assert "document_ids or filters" in refusal.value.data.error.message
    for lost in (documents.delete_document, documents.get_document):
        with pytest.raises(NotFoundException):
            lost("books", "emma")
    typed = documents.create_document(
        "books", DocumentCreateRequest.from_dict({"title": "Sand", "metadata": {"x": 1}})
    )
    assert typed.additional_properties["metadata"] == {"x": 1}


def test_lists_of_a_collection(client: ApiClient) -> None:
    documents = CollectionDocumentsApi(client)
    request = {"search": "DUN", "select": ["title"], "include_total": True}
    found = documents.list_documents("books", list_documents_request=ListDocumentsRequest.from_dict(request))
    assert (ids(found.results), found.total_documents, found.stats.total_documents) == (
        ["dune", "ulysses"],  # which likes it
        2,
        2,
    )
    assert found.results[0].additional_properties == {"title": "Dune"}
    grouped = documents.list_documents(
        "books", list_documents_request=ListDocumentsRequest.from_dict({"group_by": "shelf"})
    )
    assert [(group.group_key, group.count, ids(group.documents)) for group in grouped.groups] == [
        ("A", 2, ["emma", "ulysses"]),
        ("B", 1, ["dune"]),
    ]
    assert (grouped.group_by_field, grouped.stats.total_groups) == ("shelf", 2)
    expanded = documents.list_documents(
        "books", list_documents_request=ListDocumentsRequest.from_dict({"expand": ["like"], "search": "uly"})
    )
    referred = expanded.results[0].additional_properties["_expanded"]["like"]
    assert [each["title"] for each in referred] == ["Emma", "Dune"]
    by_get = documents.list_documents_0("books", search="e*", sort="year:desc", limit=2)
    assert ids(by_get.results) == ["dune", "ulysses"]
    assert ids(documents.list_documents("books", search="em?a").results) == ["emma", "ulysses"]
    alone = documents.get_document("books", "ulysses", expand="like")
    assert len(alone.additional_properties["_expanded"]["like"]) == 2


def test_lists_of_a_namespace(client: ApiClient, namespace: str) -> None:
    documents = DocumentsApi(client)
    upsert(client, namespace, {"alien": {"title": "Alien", "year": 1979}})
    order = {"sort": {"field": "year", "direction": "asc"}, "limit": 3}
    first = documents.list_documents_ns(
        namespace_list_documents_request=NamespaceListDocumentsRequest.from_dict(order)
    )
    assert ids(first.results) == ["emma", "ulysses", "dune"]
    rest = documents.list_documents_ns(
        namespace_list_documents_request=NamespaceListDocumentsRequest.from_dict(
            {**order, "cursor": first.pagination.next_cursor}
        )
    )
    assert (ids(rest.results), rest.pagination.next_cursor) == (["alien"], None)
    assert len(documents.list_documents_ns().results) == 4
    named = documents.list_documents_ns(
        namespace_list_documents_request={"collection_ids": ["books", "nope"], "limit": 1}
    )
    assert (ids(named.results), named.unknown_collection_ids) == (["dune"], ["nope"])
    with pytest.raises(NotFoundException):
        documents.list_documents_ns(namespace_list_documents_request={"collection_ids": ["nope"]})
    parts = [
        documents.list_documents_ns(
            namespace_list_documents_request={"partition": {"index": index, "count": 2}}
        )
        for index in range(2)
    ]
    assert sorted(each for part in parts for each in ids(part.results)) == [
        "alien",
        "dune",
        "emma",
        "ulysses",
    ]
    queries = [
        {"key": "one", "request": {"limit": 1}},
        {"key": "none", "request": {"collection_ids": ["nope"]}},
    ]
    batch = documents.list_documents_batch(BatchListDocumentsRequest.from_dict({"queries": queries}))
    assert [each.key for each in batch.results] == ["one", "none"]
    assert ids(batch.results[0].response.results) == ["alien"]
    assert (batch.results[1].response, "nope" in batch.results[1].error) == (None, True)


def test_an_idempotency_key(client: ApiClient, namespace: str) -> None:
    options = {"idempotency_key": "k", "write_token": True}
    first = upsert(client, namespace, {"x": {"n": 1}}, options=options)
    again = upsert(client, namespace, {"x": {"n": 1}}, options=options)
    assert (again.document_ids, again.write_token) == (["x"], first.write_token)
    with pytest.raises(ConflictException) as refusal:
        upsert(client, namespace, {"x": {"n": 2}}, options=options)
    assert "idempotency_key" in refusal.value.body


def test_a_standalone_namespace(client: ApiClient) -> None:
    own = BYODocumentsApi(client)
    name = f"alone-{secrets.token_hex(6)}"
    body = {"namespace_id": name, "vector_configs": [{"name": "v", "dimension": 2, "metric": "euclidean"}]}
    created = own.create_standalone_namespace(CreateStandaloneNamespaceRequestModel.from_dict(body))
    assert (created.namespace_id, created.mode, created.status) == (name, "standalone", "active")
    assert created.vector_configs == body["vector_configs"]
    assert NamespacesApi(client).get_namespace(name).vector_configs is not None
    document = {"document_id": "d", "vectors": {"v": VectorsValue([1.0, 2.0])}}
    assert own.upsert_documents_byo_namespaces(name, {"documents": [document]}).inserted == 1
    stored = own.get_document_byo_namespaces(name, "d", return_vectors=True)
    assert stored["v"] == [1.0, 2.0]
    with pytest.raises(ConflictException):
        own.create_standalone_namespace(body)
    document["vectors"] = {"v": VectorsValue([1.0])}
    with pytest.raises(UnprocessableEntityException) as refusal:
        own.upsert_documents_byo_namespaces(name, {"documents": [document]})
    assert "there are v (2)" in refusal.value.data.error.message


def test_access_lists_of_documents_are_not_built(client: ApiClient) -> None:
    with pytest.raises(ApiException) as refusal:
        CollectionDocumentsApi(client).update_document_acl("books", "dune", {"public": True})
    assert refusal.value.status == 501
