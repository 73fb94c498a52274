"""Embedding as durable background work: through the real API, workers and engine, with what can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from shared import keys
from shared.broker import QUEUE_EMBED
from tests.stack import Stack, create_retriever, kill, stack
from tests.unit.embeddings.embedding_endpoint import DIMENSIONS, Endpoint, running_endpoint, says
from tests.waiting import wait_until

FEATURE = "mixpeek://text_extractor@v1"
BY_VECTOR = {
    "stage_name": "near",
    "config": {
        "stage_id": "feature_search",
        "parameters": {
            "searches": [
                {"feature_uri": FEATURE, "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}
            ],
            "final_top_k": 3,
        },
    },
}
TEXTS = {
    "soup": "Red lentils, onions and cumin, simmered into a soup.",
    "train": "The night train crosses the mountains on narrow rails.",
    "moon": "Astronauts walked on the surface of the moon.",
}


@pytest.fixture(scope="module")
def without_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose workers are the tests' own to start and stop. One has been there: it has a catalogue."""
    directory: Path = tmp_path_factory.mktemp("embeddings")
    with stack(directory) as made:
        kill(made.start_worker("first"))
        yield made


def collection(client: httpx.Client, name: str, **extractor: Any) -> dict[str, Any]:
    body = {
        "collection_name": name,
        "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1", **extractor},
    }
    answer = client.post("/collections", json=body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def upsert(client: httpx.Client, collection: str, texts: dict[str, str], **over: Any) -> dict[str, Any]:
    documents = [{"document_id": each, "payload": {"text": text}, **over} for each, text in texts.items()]
    body = {"collection_id": collection, "documents": documents, "options": {"write_token": True}}
    answer = client.post(f"/namespaces/{client.headers['X-Namespace']}/documents/upsert", json=body)
    assert answer.status_code == 200, answer.text
    written: dict[str, Any] = answer.json()
    return written


def found(client: httpx.Client, retriever: str, query: Any, **body: Any) -> dict[str, Any]:
    """The execution once it has ended."""
    answer = client.post(
        f"/retrievers/{retriever}/execute",
        json={"inputs": {"query": query}, **body},
        headers={"Prefer": "wait=30"},
    )
    assert answer.status_code == 200, answer.text
    execution: dict[str, Any] = answer.json()
    assert execution["status"] == "completed", execution
    return execution


def ids(execution: dict[str, Any]) -> list[str]:
    return [document["document_id"] for document in execution["documents"]]


def searchable(client: httpx.Client, collection: str, document_id: str) -> bool:
    answer = client.get(f"/collections/{collection}/documents/{document_id}").json()
    return answer["searchable_at"] is not None


def backlog_is_empty(client: httpx.Client, collection: str) -> bool:
    listed = client.post(f"/collections/{collection}/documents/list", json={"limit": 1000}).json()
    return all(document["searchable_at"] for document in listed["results"])


def test_a_text_is_found_by_its_meaning_once_it_is_embedded(client: httpx.Client) -> None:
    created = collection(client, "meanings")
    [index] = created["vector_indexes"]
    assert index["feature_uri"] == f"{FEATURE}/wordllama_l2_supercat_v1"
    assert (index["index"]["dimensions"], index["type"]) == (256, "single")
    [feature] = client.get("/collections/meanings/features").json()["features"]
    assert (feature["feature_uri"], feature["primary"]) == (index["feature_uri"], True)
    upsert(client, "meanings", TEXTS)
    wait_until(lambda: backlog_is_empty(client, "meanings"), 20, "every text to be embedded")
    create_retriever(client, "by_meaning", [BY_VECTOR], collection_identifiers=["meanings"])
    for query, best in (("cooking dinner", "soup"), ("railway journey", "train"), ("space travel", "moon")):
        execution = found(client, "by_meaning", query)
        assert ids(execution)[0] == best
        assert execution["completeness"]["embeddings"] == "complete"
    stored = client.get("/collections/meanings/documents/soup", params={"return_vectors": "true"}).json()
    assert len(stored["wordllama_l2_supercat_v1"]) == 256


@pytest.mark.parametrize("asked", ["write_token", "strong", "max_staleness_ms"])
def test_a_search_can_ask_to_see_a_write(client: httpx.Client, asked: str) -> None:
    name = f"fresh_{asked}"
    collection(client, name)
    create_retriever(client, name, [BY_VECTOR], collection_identifiers=[name])
    for number in range(5):
        text = f"{TEXTS['moon']} Mission {number}."
        token = upsert(client, name, {f"doc_{number}": text})["write_token"]
        freshness: dict[str, Any] = {
            "write_token": {"write_token": token},
            "strong": {"consistency": {"mode": "strong"}},
            "max_staleness_ms": {"consistency": {"mode": "eventual", "max_staleness_ms": 0}},
        }[asked]
        execution = found(client, name, text, **freshness, limit=1)
        # max_staleness_ms 0 allows for a write of this very millisecond
        if asked != "max_staleness_ms":
            assert ids(execution) == [f"doc_{number}"]
            assert execution["completeness"]["embeddings"] == "complete"


@pytest.mark.parametrize("token", ["x", "wt_", "wt_WzFd", "wt_bm90IGpzb24"])
def test_a_token_that_is_none_is_refused(client: httpx.Client, token: str) -> None:
    collection(client, f"tokens_{len(token)}")
    create_retriever(client, f"tokens_{len(token)}", [BY_VECTOR])
    answer = client.post(
        f"/retrievers/tokens_{len(token)}/execute", json={"inputs": {"query": "x"}, "write_token": token}
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["validation_errors"][0]["loc"] == ["write_token"]


def test_a_changed_text_is_never_found_by_its_old_meaning(client: httpx.Client) -> None:
    collection(client, "changing")
    create_retriever(client, "changing", [BY_VECTOR], collection_identifiers=["changing"])
    token = upsert(client, "changing", TEXTS)["write_token"]
    assert ids(found(client, "changing", "space travel", write_token=token))[0] == "moon"
    token = upsert(client, "changing", {"moon": TEXTS["soup"], "new": TEXTS["moon"]})["write_token"]
    execution = found(client, "changing", "space travel", write_token=token)
    assert ids(execution)[0] == "new"
    scores = {each["document_id"]: each["score"] for each in execution["documents"]}
    assert scores.get("moon", 0) <= scores["new"] / 2


def test_the_callers_own_vectors_live_beside_it(client: httpx.Client) -> None:
    collection(client, "own_vectors")
    upsert(
        client, "own_vectors", {"a": TEXTS["soup"]}, vectors={"image": [1.0, 0.0], "parts": [[1, 0], [0, 1]]}
    )
    upsert(client, "own_vectors", {"b": TEXTS["moon"]}, vectors={"image": [0.0, 1.0], "parts": [[-1, 0]]})
    indexes = client.get("/collections/own_vectors").json()["vector_indexes"]
    assert [(each["name"], each["type"]) for each in indexes[1:]] == [("image", "single"), ("parts", "multi")]
    for name, vector, expected in (("image", [0, 2], ["b", "a"]), ("parts", [0, 3], ["a", "b"])):
        search = {"feature_uri": name, "query": {"input_mode": "vector", "value": "{{INPUT.query}}"}}
        stage = {**BY_VECTOR, "config": {"stage_id": "feature_search", "parameters": {"searches": [search]}}}
        create_retriever(client, f"by_{name}", [stage], collection_identifiers=["own_vectors"])
        assert ids(found(client, f"by_{name}", vector)) == expected


@pytest.mark.parametrize(
    ("extractor", "place"),
    [
        ({"feature_extractor_name": "image_extractor"}, ["feature_extractor"]),
        ({"parameters": {"embedding_model": "nope"}}, ["feature_extractor", "parameters", "embedding_model"]),
        ({"input_mappings": {"text": []}}, ["feature_extractor", "input_mappings", "text"]),
        ({"input_mappings": {"text": "a..b"}}, ["feature_extractor", "input_mappings", "text"]),
    ],
)
def test_an_extractor_that_cannot_work_is_refused(
    client: httpx.Client, extractor: dict[str, Any], place: list[str]
) -> None:
    body = {"feature_extractor_name": "text_extractor", "version": "v1", **extractor}
    answer = client.post("/collections", json={"collection_name": "refused", "feature_extractor": body})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["validation_errors"][0]["loc"] == place
    assert client.get("/collections/refused").status_code == 404


def test_the_fields_to_embed_can_be_chosen(client: httpx.Client) -> None:
    mapping = {"text": ["title", "about.text"], "image": "x"}
    created = collection(client, "mapped", input_mappings=mapping)
    assert created["warnings"] == ["feature_extractor.input_mappings.image is unknown and was ignored"]
    body = {
        "collection_id": "mapped",
        "documents": [
            {"document_id": "a", "payload": {"title": "Dinner", "about": {"text": TEXTS["soup"]}}},
            {"document_id": "b", "payload": {"text": TEXTS["soup"]}},
        ],
    }
    client.post(f"/namespaces/{client.headers['X-Namespace']}/documents/upsert", json=body)
    assert searchable(client, "mapped", "b"), "it has nothing to embed"
    wait_until(lambda: searchable(client, "mapped", "a"), 20, "the mapped fields to be embedded")


def test_a_wake_up_that_was_lost_is_made_up_for(without_workers: Stack) -> None:
    with without_workers.namespace("lost") as client:
        collection(client, "texts")
        upsert(client, "texts", TEXTS)
        assert not searchable(client, "texts", "moon")
        with redis.Redis.from_url(without_workers.redis_url) as server:
            assert server.llen(QUEUE_EMBED) == 1
            server.delete(QUEUE_EMBED, keys.work("embed"))
        worker = without_workers.start_worker("sweeping")
        wait_until(lambda: backlog_is_empty(client, "texts"), 30, "the sweep to find the texts")
        kill(worker)


def test_a_killed_worker_leaves_no_text_behind(without_workers: Stack) -> None:
    with without_workers.namespace("killed") as client:
        collection(client, "texts")
        many = {f"doc_{number:04}": f"{TEXTS['train']} Number {number}. " * 20 for number in range(1000)}
        upsert(client, "texts", many)
        victim = without_workers.start_worker("victim")
        wait_until(lambda: searchable(client, "texts", "doc_0000"), 20, "the first batch")
        kill(victim)
        heir = without_workers.start_worker("heir")
        wait_until(lambda: backlog_is_empty(client, "texts"), 40, "the heir to embed the rest")
        with redis.Redis.from_url(without_workers.redis_url) as server:
            wait_until(lambda: not server.exists(keys.work("embed"), QUEUE_EMBED), 20, "nothing left to tell")
        kill(heir)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.mark.slow
def test_an_endpoint_that_is_away_or_refuses_a_text_holds_up_no_other(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    refusal = says(400, b'{"error": {"message": "no"}}')
    settings = {
        "KENNEL_EMBEDDINGS_URL": endpoint.base_url,
        "KENNEL_EMBEDDINGS_MODEL": "acme/tiny",
        "KENNEL_EMBEDDINGS_DIMENSIONS": str(DIMENSIONS),
        "KENNEL_EMBEDDINGS_API_KEY": "ek_secret",
    }
    with stack(tmp_path, **settings) as made, made.namespace("endpoint") as client:
        created = collection(client, "texts")
        assert created["vector_indexes"][0]["feature_uri"] == f"{FEATURE}/acme_tiny"
        collection(client, "built_in", parameters={"embedding_model": "wordllama_l2_supercat_v1"})
        upsert(client, "texts", TEXTS)
        # All three are refused, then two of them, then one alone, then the others are taken.
        endpoint.replies.extend([refusal, refusal, refusal])
        made.start_worker("w1")
        wait_until(lambda: searchable(client, "texts", "moon"), 20, "a text that was not refused")
        wait_until(lambda: backlog_is_empty(client, "texts"), 30, "the refused text to be tried again")
        create_retriever(client, "near", [BY_VECTOR], collection_identifiers=["texts"])
        assert ids(found(client, "near", TEXTS["train"]))[0] == "train"
        assert endpoint.headers[-1]["Authorization"] == "Bearer ek_secret"
        endpoint.replies.extend([says(503)] * 4)
        late = client.post(
            "/retrievers/near/execute", json={"inputs": {"query": "x"}}, headers={"Prefer": "wait=60"}
        ).json()
        assert (late["status"], late["attempt"]) == ("completed", 2)
        logs = "".join(path.read_text() for path in tmp_path.glob("*.log"))
        assert "ek_secret" not in logs
