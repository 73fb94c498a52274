"""The field's high-level client, a dict for every answer, from an empty namespace to a result and back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import mixpeek
import pytest
from mixpeek._client.client import MixpeekAPIError

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.stack import Stack

WORDS = {
    "feature_uri": "mixpeek://text_extractor@v1",
    "query": {"input_mode": "text", "value": "{{INPUT.query}}"},
    "lexical": True,
}
STAGE = {
    "stage_name": "search",
    "config": {"stage_id": "feature_search", "parameters": {"searches": [WORDS]}},
}
QUERY = {"query": {"type": "string", "required": True}}
BOOKS = [
    {"document_id": "emma", "payload": {"title": "Emma", "text": "A young woman makes matches."}},
    {"document_id": "dune", "payload": {"title": "Dune", "text": "A desert planet and its heir."}},
    {"document_id": "sand", "payload": {"title": "Sand", "text": "Divers below a desert."}},
]


@pytest.fixture(scope="module")
def key(service: Stack) -> str:
    """That client never polls: its key waits for the end of each execution."""
    with connect(service.redis_url) as redis:
        made, _ = create_key(redis, f"waiting {secrets.token_hex(6)}", default_wait_s=20)
    return made


@pytest.fixture
def client(service: Stack, key: str) -> Iterator[Any]:
    """Inside a fresh namespace with a collection of BOOKS."""
    base_url = f"{service.base_url}/v1"
    namespaces = mixpeek.Mixpeek(key, base_url=base_url).namespaces
    space = namespaces.create(name=f"shelf {secrets.token_hex(6)}")
    client = mixpeek.Mixpeek(key, base_url=base_url, namespace=space.namespace_id)
    client.collections.create(name="books", source={"type": "direct_upsert"})
    written = namespaces.documents.upsert(
        namespace_id=space.namespace_id, documents=BOOKS, collection_id="books"
    )
    assert written.inserted == 3
    yield client
    namespaces.delete(space.namespace_id)
    with pytest.raises(MixpeekAPIError) as gone:
        namespaces.get(space.namespace_id)
    assert gone.value.status == 404


def titles(result: Any) -> list[str]:
    return [document.payload.title for document in result.documents]


def test_a_retriever_from_its_making_to_its_end(client: Any) -> None:
    retrievers = client.retrievers
    made = retrievers.create(
        name="find", stages=[STAGE], input_schema=QUERY, collection_identifiers=["books"]
    )
    retriever_id = made.retriever_id
    assert [each.retriever_id for each in retrievers.list()["results"]] == [retriever_id]

    result = retrievers.execute(retriever_id, inputs={"query": "matches"}, settings={"limit": 5})
    assert (result.status, titles(result)) == ("completed", ["Emma"])
    assert sorted(titles(retrievers.run("find", inputs={"query": "desert"}))) == ["Dune", "Sand"]
    many = retrievers.execute_batch(
        retriever_id, queries=[{"query": "planet"}, {"inputs": {"query": "divers"}}], concurrency=2
    )
    assert [titles(each) for each in many.results] == [["Dune"], ["Sand"]]

    retrievers.update(retriever_id, description="By keywords.")
    copy = retrievers.clone(retriever_id, name="find again").retriever
    assert (copy.description, copy.retriever_id == retriever_id) == ("By keywords.", False)
    retrievers.delete(retriever_id)
    with pytest.raises(MixpeekAPIError) as gone:
        retrievers.execute(retriever_id, inputs={"query": "desert"})
    assert gone.value.status == 404


def test_documents_and_their_collection(client: Any) -> None:
    documents = client.documents
    first = documents.list("books", page_size=2)
    rest = documents.list("books", page_size=2, cursor=first.pagination.next_cursor)
    assert [each.document_id for each in first.results + rest.results] == ["dune", "emma", "sand"]
    documents.update("books", "emma", update_data={"year": 1815})
    changed = documents.batch_update(
        "books", updates=[{"document_id": "dune", "update_data": {"year": 1965}}]
    )
    assert changed.updated_count == 1
    assert [documents.get("books", each).year for each in ("emma", "dune")] == [1815, 1965]
    documents.delete("books", "sand")
    assert client.collections.get("books").document_count == 2

    client.collections.update("books", {"description": "Read."})
    client.collections.clone("books", name="books 2")
    assert {each.collection_name for each in client.collections.list()["results"]} == {"books", "books 2"}
    client.collections.delete("books 2")


def test_a_refusal_says_what_was_wrong(client: Any, service: Stack) -> None:
    with pytest.raises(MixpeekAPIError) as refused:
        client.retrievers.create(
            name="find", stages=[{"stage_name": "search", "config": {"stage_id": "nope"}}]
        )
    error = refused.value.detail["error"]
    assert (refused.value.status, error["type"]) == (422, "ValidationError")
    assert error["details"]["validation_errors"][0]["loc"] == ["stages", 0, "config", "stage_id"]
    stranger = mixpeek.Mixpeek("sk_wrong", base_url=f"{service.base_url}/v1", namespace=client.namespace)
    with pytest.raises(MixpeekAPIError) as unknown:
        stranger.retrievers.list()
    assert unknown.value.status == 401
