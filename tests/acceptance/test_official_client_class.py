"""The field's high-level client, a dict for every answer, from an empty namespace to a result and back."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mixpeek
import pytest
from mixpeek._client.client import MixpeekAPIError
from mixpeek._client.resources import _Resource

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
POINTS = {"east": [1.0, 0.0], "north": [0.0, 1.0]}


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


@pytest.fixture(scope="module")
def outside(service: Stack, key: str) -> Any:
    """In no namespace at all."""
    return mixpeek.Mixpeek(key, base_url=f"{service.base_url}/v1")


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
    with pytest.raises(MixpeekAPIError) as of_old:  # stages of a shape that its own models refuse, too
        client.search("desert", collection="books")
    assert (of_old.value.status, of_old.value.detail["error"]["type"]) == (422, "ValidationError")
    stranger = mixpeek.Mixpeek("sk_wrong", base_url=f"{service.base_url}/v1", namespace=client.namespace)
    with pytest.raises(MixpeekAPIError) as unknown:
        stranger.retrievers.list()
    assert unknown.value.status == 401


def test_namespaces_and_tasks(client: Any) -> None:
    space = client.namespace
    assert client.namespaces.get(space).collection_count == 1
    assert space in {each.namespace_id for each in client.namespaces.list()["results"]}
    found = client.retrievers.create(name="find", stages=[STAGE], input_schema=QUERY)
    assert client.retrievers.get("find").retriever_id == found.retriever_id
    ran = client.retrievers.execute("find", inputs={"query": "desert"})
    assert client.tasks.get(ran.execution_id).status == "COMPLETED"
    assert ran.execution_id in {each.task_id for each in client.tasks.list(status="COMPLETED").results}
    assert client.tasks.delete("nobody").success is True
    with pytest.raises(MixpeekAPIError) as missing:
        client.tasks.get("nobody")
    assert missing.value.status == 404


def test_a_namespace_for_vectors_of_ones_own(client: Any) -> None:
    name = f"own-{secrets.token_hex(6)}"
    made = client.namespaces.create(name=name, vector_configs=[{"name": "v", "dimension": 2}])
    assert (made.namespace_id, made.mode, made.vector_configs[0].dimension) == (name, "standalone", 2)
    documents = [{"document_id": each, "vectors": {"v": vector}} for each, vector in POINTS.items()]
    client.namespaces.documents.upsert(namespace_id=name, documents=documents)
    result = client.search(namespace_id=name, queries=[{"vector_name": "v", "vector": [0.0, 2.0]}], limit=1)
    assert [(each.document_id, each.score) for each in result.documents] == [("north", 1.0)]
    client.namespaces.delete(name)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.evaluations.create_dataset(dataset_name="d", queries=[]),
        lambda client: client.evaluations.list_datasets(),
        lambda client: client.evaluations.get_dataset("d"),
        lambda client: client.evaluations.generate_from_interactions("find"),
        lambda client: client.evaluations.run("find", dataset_name="d"),
        lambda client: client.evaluations.list("find"),
        lambda client: client.evaluations.get("find", "e"),
        lambda client: client.retrievers.run_evaluation("find", dataset_name="d"),
        lambda client: client.retrievers.create_interaction(document_id="emma", interaction_type=["click"]),
        lambda client: client.retrievers.create_interaction_from_result(
            {"documents": [{"document_id": "emma"}], "retriever_id": "find"}, position=0
        ),
        lambda client: client.retrievers.backfill_interactions([{"retriever_id": "find"}]),
        lambda client: client.retrievers.list_interactions("find"),
        lambda client: client.retrievers.get_interaction("i"),
        lambda client: client.retrievers.delete_interaction("i"),
        lambda client: client.retrievers.enable_learned_fusion("find"),
        lambda client: client.retrievers.disable_learned_fusion("find"),
        lambda client: client.retrievers.set_rollout("find", rollout_pct=1.0),
        lambda client: client.retrievers.opt_out_user("find", user_id="u"),
        lambda client: client.retrievers.opt_in_user("find", user_id="u"),
        lambda client: client.retrievers.reset_user("find", user_id="u"),
        lambda client: client.retrievers.get_weights("find"),
        lambda client: client.retrievers.get_user_weights("find", user_id="u"),
        lambda client: client.retrievers.get_stats("find"),
        lambda client: client.retrievers.get_activity("find"),
    ],
)
def test_what_is_not_built_says_so(outside: Any, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(MixpeekAPIError) as refused:
        ask(outside)
    error = refused.value.detail["error"]
    assert (refused.value.status, error["type"]) == (501, "NotImplementedError")


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        (lambda client: client.documents.search(query="desert"), 405),  # no generated class has it
        (lambda client: client.collections.trigger("books"), 404),
        (lambda client: client.namespaces.clone("x", name="y"), 404),
        (lambda client: client.namespaces.promote("x"), 404),
        (lambda client: client.retrievers.publish("find"), 404),
        (lambda client: client.index("https://example.com/a.txt"), 404),
    ],
)
def test_what_is_beside_the_contract_is_refused(outside: Any, ask: Callable[[Any], Any], status: int) -> None:
    with pytest.raises(MixpeekAPIError) as refused:
        ask(outside)
    assert (refused.value.status, refused.value.detail["success"]) == (status, False)


def test_every_method_of_the_class_is_called_by_a_test(outside: Any) -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    for name, resource in vars(outside).items():
        if isinstance(resource, _Resource) and name not in ("buckets", "batches"):  # Kennel has no buckets
            for method, _ in inspect.getmembers(resource, inspect.ismethod):
                assert method.startswith("_") or f"{name}.{method}(" in tests, f"{name}.{method}"
