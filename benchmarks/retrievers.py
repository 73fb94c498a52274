"""The retrievers that Kennel executes in the benchmark, made over HTTP like anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.client import Client
from benchmarks.stages import BenchNoop, BenchSleep

STAGE_NAMES = ("one", "two", "three")
_INPUT_SCHEMA = {"query": {"type": "string", "required": True}}
_DOCUMENTS = 10


@dataclass(frozen=True, slots=True)
class Retriever:
    namespace_id: str
    retriever_id: str

    @property
    def path(self) -> str:
        return f"/v1/retrievers/{self.retriever_id}"


@dataclass(frozen=True, slots=True)
class Retrievers:
    """What the measurements execute; each has three stages."""

    noop: Retriever
    sleep: Retriever
    search: Retriever  # lexical search, filter and sort over 10 documents


def set_up(client: Client) -> Retrievers:
    empty = client.call("POST", "/v1/namespaces", {"namespace_name": "bench-empty"})["namespace_id"]
    filled = client.call("POST", "/v1/namespaces", {"namespace_name": "bench-documents"})["namespace_id"]
    source = {"collection_name": "bench", "source": {"type": "direct_upsert"}}
    collection_id = client.call("POST", "/v1/collections", source, **{"X-Namespace": filled})["collection_id"]
    documents = [
        {
            "document_id": f"doc_{i}",
            "vectors": {},
            "payload": {"text": f"fox number {i}", "price": i % 7, "sold": i % 2},
        }
        for i in range(_DOCUMENTS)
    ]
    upsert = {"collection_id": collection_id, "documents": documents}
    client.call("POST", f"/v1/namespaces/{filled}/documents/upsert", upsert)
    search = {
        "feature_uri": "bm25",
        "query": {"input_mode": "text", "value": "{{INPUT.query}}"},
        "lexical": True,
    }
    return Retrievers(
        noop=_retriever(client, empty, "noop", [(BenchNoop.stage_id, {})] * 3),
        sleep=_retriever(client, empty, "sleep", [(BenchSleep.stage_id, {})] * 3),
        search=_retriever(
            client,
            filled,
            "search",
            [
                ("feature_search", {"searches": [search], "final_top_k": _DOCUMENTS}),
                ("attribute_filter", {"field": "sold", "operator": "eq", "value": 1}),
                ("sort_attribute", {"field": "price", "direction": "desc"}),
            ],
        ),
    )


def _retriever(client: Client, namespace_id: str, name: str, stages: Sequence[tuple[str, Any]]) -> Retriever:
    body = {
        "retriever_name": name,
        "input_schema": _INPUT_SCHEMA,
        "stages": [
            {"stage_name": stage_name, "config": {"stage_id": stage_id, "parameters": parameters}}
            for stage_name, (stage_id, parameters) in zip(STAGE_NAMES, stages, strict=True)
        ],
    }
    answer = client.call("POST", "/v1/retrievers", body, **{"X-Namespace": namespace_id})
    return Retriever(namespace_id, answer["retriever_id"])
