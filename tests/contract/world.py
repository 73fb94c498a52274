"""A small installation with something of every kind, under the names that the document's examples use."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from tests.contract.scenes import book, failing, run, search, write
from tests.contract.vocabulary import NOBODY, Vocabulary, richer, vocabulary
from tests.stack import Stack, create_retriever, execute, gate, poll_until
from tests.waiting import wait_until

_DOOMED = 12  # of each kind, to be deleted
_OWNER = "ada@example.com"  # of keys
_EMBEDDED = {
    "feature_extractor": {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": "text"},
    }
}

_ADHOC = "/v1/retrievers/executions/"
_OF_ALERTS = "/v1/alerts/executions/"
_TOLD = "/v1/alerts/{alert}/deliveries/"
# Only of its own retriever, and when it has ended.
_EXTENDED = "/v1/retrievers/{retriever}/executions/{execution_id}/extend"

# Name of a parameter -> values of it that exist.
Names = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class World:
    """What requests can be about; deletions have their own, so that the rest stays."""

    names: Names
    under: Mapping[str, Names]  # in place of these, in paths that begin so
    doomed: Names
    known: Vocabulary  # of bodies

    def inside(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The OpenAPI document, where parameters that name something are required and name what exists.

        A property of a body may name what exists, too, or say what means something where all is allowed.
        """
        narrowed: dict[str, Any] = richer(copy.deepcopy(dict(document)), self.known)
        for path, operations in narrowed["paths"].items():
            names = self._names(path)
            for method, operation in operations.items():
                deleted = path.rpartition("/")[2].strip("{}") if method == "delete" else ""
                for parameter in operation.get("parameters", ()):
                    name = parameter["name"]
                    values = self.doomed if name == deleted else names
                    if name in values:
                        parameter["schema"] = {"enum": list(values[name])}
                        parameter["required"] = name != "prefer"
                        parameter.pop("example", None)
        return narrowed

    def _names(self, path: str) -> Names:
        others = (names for beginning, names in self.under.items() if path.startswith(beginning))
        return {**self.names, **next(others, {})}


def make_world(service: Stack, client: httpx.Client) -> World:
    """In the client's namespace."""
    namespace = client.headers["X-Namespace"]
    namespace_id = service.client.get(f"/namespaces/{namespace}").json()["namespace_id"]
    books = [book(number) for number in range(20)] + [{"document_id": "emma"}, {"document_id": "dune"}]
    document_ids = [each["document_id"] for each in books]
    collections = [_collection(client, name, **_EMBEDDED) for name in ("python_docs", "novels")]
    for collection in collections:
        write(client, collection, books)
    searching = _retriever(client, "search_python_docs")
    mixed = create_retriever(client, "mixed", [gate("held"), failing(on_error="skip")])
    broken = create_retriever(client, "broken", [failing()])
    adhoc = [_adhoc(client, word) for word in ("book", "trains")]
    alerts = [_alert(client, name, searching) for name in ("watching", "waiting")]
    evaluated = [_evaluated(client, alert) for alert in alerts]
    told = client.get(f"/alerts/{alerts[0]}/deliveries").raise_for_status().json()["results"]
    executions = _executions(client, searching, mixed, broken)
    return World(
        names={
            "X-Namespace": [namespace_id],
            "namespace": [namespace_id],
            "collection": collections,  # ids: a change may give one another name
            "document_id": document_ids[_DOOMED:],
            "retriever": [searching, mixed, broken],
            "alert": alerts,
            "execution_id": executions,
            "task_id": adhoc,
            "batch_id": [_batch(client, searching, "first"), _batch(client, searching, "second")],
            "user_email": [_OWNER],
            "key_name": [_key(service, name) for name in _numbered("key", "lasting")],
            "prefer": ["wait=1", "respond-async"],
        },
        under={
            _ADHOC: {"execution_id": adhoc},
            _EXTENDED: {"retriever": [searching], "execution_id": executions[:1]},
            _OF_ALERTS: {"execution_id": evaluated},
            _TOLD: {"alert": alerts[:1], "delivery_id": [each["delivery_id"] for each in told]},
        },
        doomed={
            "namespace": [_namespace(service, name) for name in _numbered("namespace")],
            "collection": [_collection(client, name) for name in _numbered("collection")],
            "retriever": [_retriever(client, name) for name in _numbered("retriever")],
            "alert": [_alert(client, name, searching) for name in _numbered("alert")],
            "document_id": document_ids[:_DOOMED],
            "key_name": [_key(service, name) for name in _numbered("key")],
            "task_id": [_adhoc(client, name) for name in _numbered("task")],
        },
        known=vocabulary(
            collections,
            document_ids[_DOOMED:],
            _feature(client),
            client.get("/retrievers/stages").json(),
            retrievers=[searching, mixed],
            alerts=alerts,
        ),
    )


def _feature(client: httpx.Client) -> str:
    [feature] = client.get("/collections/novels/features").raise_for_status().json()["features"]
    uri: str = feature["feature_uri"]
    return uri


def _executions(client: httpx.Client, searching: str, mixed: str, broken: str) -> Sequence[str]:
    """Completed, failed and running."""
    completed = run(client, searching, inputs={"query": "book"})["execution_id"]
    failed = run(client, broken)["execution_id"]
    running = execute(client, mixed)
    poll_until(client, mixed, running, lambda e: e["status"] == "processing", "its start")
    return [completed, failed, running]


def _adhoc(client: httpx.Client, word: str) -> str:
    made = client.post("/retrievers/execute", json={"stages": [search(word)]})
    execution_id: str = made.raise_for_status().json()["execution_id"]
    return execution_id


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


def _collection(client: httpx.Client, name: str, **over: Any) -> str:
    made = client.post("/collections", json={"collection_name": name, **over})
    collection_id: str = made.raise_for_status().json()["collection_id"]
    return collection_id


def _alert(client: httpx.Client, name: str, retriever: str) -> str:
    """It tells a host that does not exist: nobody is sent anything here."""
    made = client.post(
        "/alerts", json={"name": name, "retriever_id": retriever, "notification_config": NOBODY}
    )
    alert_id: str = made.raise_for_status().json()["alert_id"]
    return alert_id


def _evaluated(client: httpx.Client, alert: str) -> str:
    """Id of an execution of the alert that went through."""
    started = client.post(f"/alerts/{alert}/execute").raise_for_status()
    wait_until(
        lambda: client.get(f"/alerts/{alert}/results").status_code == 200, 30, "an alert to be evaluated"
    )
    execution_id: str = started.json()["execution_id"]
    return execution_id


def _retriever(client: httpx.Client, name: str) -> str:
    schema = {"query": {"type": "string", "default": "book"}}
    return create_retriever(client, name, [search()], collection_identifiers=["novels"], input_schema=schema)
