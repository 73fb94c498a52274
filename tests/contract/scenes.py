"""What tests of executions have in common: documents, definitions of stages, executions in a chosen state."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from shared import keys
from shared.redis_sync import connect
from tests.stack import Stack, create_retriever, ended, execute, gate, poll_until

SERVICE_THREADS = 4
GENRES = ("crime", "poetry", "travel")
ALL = [f"doc_{number:02}" for number in range(45)]  # ids of the fixture `books`, by year


def book(number: int) -> dict[str, Any]:
    return {
        "document_id": f"doc_{number:02}",
        "text": f"book {number} about trains",
        "genre": GENRES[number % 3],
        "year": 1970 + number,
    }


def write(client: httpx.Client, collection: str, documents: Sequence[dict[str, Any]]) -> None:
    """Store documents of plain fields; `document_id` is taken out of them."""
    namespace = client.headers["X-Namespace"]
    rows = [
        {"document_id": each["document_id"], "payload": {k: v for k, v in each.items() if k != "document_id"}}
        for each in documents
    ]
    body = {"collection_id": collection, "documents": rows}
    answer = client.post(f"/namespaces/{namespace}/documents/upsert", json=body)
    assert answer.status_code == 200, answer.text


def search(query: str = "{{INPUT.query}}", **parameters: Any) -> dict[str, Any]:
    """A stage `search` over all texts."""
    one = {"feature_uri": "text", "lexical": True, "query": {"value": query}}
    return stage("search", "feature_search", searches=[one], **parameters)


def keep(field: str, operator: str, value: Any, *, name: str = "keep", **over: Any) -> dict[str, Any]:
    return stage(name, "attribute_filter", over, field=field, operator=operator, value=value)


def failing(name: str = "broken", *, kind: str = "stage", **over: Any) -> dict[str, Any]:
    return stage(name, "test_fail", over, kind=kind)


def stage(name: str, stage_id: str, over: dict[str, Any] | None = None, **parameters: Any) -> dict[str, Any]:
    """`over` are the stage's own keys, beside its config."""
    return {"stage_name": name, "config": {"stage_id": stage_id, "parameters": parameters}, **(over or {})}


BY_YEAR = stage("sort", "sort_attribute", field="year", direction="asc")


def unique(name: str) -> str:
    """A name that no other test uses, for retrievers and gates."""
    return f"{name}-{secrets.token_hex(3)}"


def retriever(client: httpx.Client, *stages: dict[str, Any], **over: Any) -> str:
    """Id of a new retriever."""
    return create_retriever(client, unique("retriever"), list(stages), **over)


def read(client: httpx.Client, retriever_id: str, execution_id: str, **headers: str) -> httpx.Response:
    return client.get(f"/retrievers/{retriever_id}/executions/{execution_id}", headers=headers)


def post_execute(
    client: httpx.Client, retriever_id: str, body: dict[str, Any] | None = None, **headers: str
) -> httpx.Response:
    """Execute without judging the answer; `Prefer="wait=5"` is given as `prefer`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/retrievers/{retriever_id}/execute", json=body or {}, headers=sent)


def run(client: httpx.Client, retriever_id: str, **body: Any) -> dict[str, Any]:
    """The execution when it has ended."""
    execution_id = execute(client, retriever_id, **body)
    return poll_until(client, retriever_id, execution_id, ended, "the end")


def expire(service: Stack, execution_id: str) -> None:
    """What Redis does when the result's time is over."""
    with connect(service.redis_url) as server:
        assert server.delete(keys.execution(execution_id))
        server.delete(keys.result_documents(execution_id))


def document_ids(execution: dict[str, Any]) -> list[str]:
    return [document["document_id"] for document in execution["documents"]]


@contextmanager
def busy(service: Stack, client: httpx.Client) -> Iterator[None]:
    """All threads of the worker are taken until the block ends."""
    name = unique("busy")
    blocker = retriever(client, gate(name))
    running = [execute(client, blocker) for _ in range(SERVICE_THREADS)]
    try:
        for execution_id in running:
            poll_until(client, blocker, execution_id, lambda e: e["status"] == "processing", "a busy thread")
        yield
    finally:
        service.open(name)
        for execution_id in running:
            poll_until(client, blocker, execution_id, ended, "a free thread")
