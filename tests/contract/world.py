"""A small installation with something of every kind, under the names that the document's examples use."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from tests.contract.scenes import book, failing, run, search, write
from tests.stack import Stack, create_retriever, execute, gate, poll_until

_DOOMED = 12  # of each kind, to be deleted
_OWNER = "ada@example.com"  # of keys

# Name of a parameter -> values of it that exist.
Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class World:
    """What requests can be about; deletions have their own, so that the rest stays."""

    names: Names
    doomed: Names

    def inside(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The OpenAPI document, where parameters that name something are required and name what exists."""
        narrowed = copy.deepcopy(dict(document))
        for path, operations in narrowed["paths"].items():
            for method, operation in operations.items():
                deleted = path.rpartition("/")[2].strip("{}") if method == "delete" else ""
                for parameter in operation.get("parameters", ()):
                    name = parameter["name"]
                    if name == "execution_id" and "{retriever}" not in path:
                        name = "adhoc execution_id"
                    values = self.doomed if name == deleted else self.names
                    if name in values:
                        parameter["schema"] = {"enum": list(values[name])}
                        parameter["required"] = name != "prefer"
                        parameter.pop("example", None)
        return narrowed


def make_world(service: Stack, client: httpx.Client) -> World:
    """In the client's namespace."""
    namespace = client.headers["X-Namespace"]
    namespace_id = service.client.get(f"/namespaces/{namespace}").json()["namespace_id"]
    books = [book(number) for number in range(20)] + [{"document_id": "emma"}, {"document_id": "dune"}]
    document_ids = [each["document_id"] for each in books]
    collections = [_collection(client, name) for name in ("python_docs", "novels")]
    for collection in collections:
        write(client, collection, books)
    searching = _retriever(client, "search_python_docs")
    mixed = create_retriever(client, "mixed", [gate("held"), failing(on_error="skip")])
    broken = create_retriever(client, "broken", [failing()])
    adhoc = client.post("/retrievers/execute", json={"stages": [search("book")]}).json()["execution_id"]
    return World(
        names={
            "X-Namespace": [namespace_id],
            "namespace": [namespace_id],
            "collection": collections,  # ids: a change may give one another name
            "document_id": document_ids[_DOOMED:],
            "retriever": [searching, mixed],
            "execution_id": _executions(client, searching, mixed, broken),
            "adhoc execution_id": [adhoc],
            "task_id": [adhoc],
            "batch_id": [_batch(client, searching, "first"), _batch(client, searching, "second")],
            "user_email": [_OWNER],
            "key_name": [_key(service, name) for name in _numbered("key", "lasting")],
            "prefer": ["wait=1", "respond-async"],
        },
        doomed={
            "namespace": [_namespace(service, name) for name in _numbered("namespace")],
            "collection": [_collection(client, name) for name in _numbered("collection")],
            "retriever": [_retriever(client, name) for name in _numbered("retriever")],
            "document_id": document_ids[:_DOOMED],
            "key_name": [_key(service, name) for name in _numbered("key")],
        },
    )


def _executions(client: httpx.Client, searching: str, mixed: str, broken: str) -> Sequence[str]:
    """Completed, failed, and running."""
    completed = [
        run(client, searching, inputs={"query": word})["execution_id"] for word in ("book", "trains")
    ]
    failed = run(client, broken)["execution_id"]
    running = execute(client, mixed)
    poll_until(client, mixed, running, lambda e: e["status"] == "processing", "its start")
    return [*completed, failed, running]


def _numbered(kind: str, fate: str = "doomed") -> list[str]:
    return [f"{fate}_{kind}_{number}" for number in range(_DOOMED)]


def _batch(client: httpx.Client, retriever: str, word: str) -> str:
    lines = "\n".join(orjson.dumps({"inputs": {"query": f"{word} {n}"}}).decode() for n in range(3))
    made = client.post("/batches", params={"retriever": retriever}, content=lines)
    batch_id: str = made.raise_for_status().json()["batch_id"]
    return batch_id


def _key(service: Stack, name: str) -> str:
    body = {"name": name, "permissions": ["read"]}
    service.client.post(f"/organizations/users/{_OWNER}/api-keys", json=body).raise_for_status()
    return name


def _namespace(service: Stack, name: str) -> str:
    made = service.client.post("/namespaces", json={"namespace_name": name})
    namespace_id: str = made.raise_for_status().json()["namespace_id"]
    return namespace_id


def _collection(client: httpx.Client, name: str) -> str:
    made = client.post("/collections", json={"collection_name": name})
    collection_id: str = made.raise_for_status().json()["collection_id"]
    return collection_id


def _retriever(client: httpx.Client, name: str) -> str:
    schema = {"query": {"type": "string", "default": "book"}}
    return create_retriever(client, name, [search()], collection_identifiers=["novels"], input_schema=schema)
