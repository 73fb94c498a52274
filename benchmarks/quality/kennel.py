"""Kennel's side: a judged collection written and searched over HTTP, like anybody's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.client import Client
from benchmarks.figures import BenchError
from benchmarks.quality.judged import Judged
from benchmarks.quality.metrics import RECALL_DEPTH, Quality, Rankings, quality_of
from shared.documents.features import TEXT_EXTRACTOR

BM25 = "bm25"
VECTOR = "vector"
HYBRID = "hybrid"
_BATCH = 100
# For the end of an execution; the first one may have to wait for embeddings. Below the time limit of a call.
_WAIT_S = 25
_QUERY = {"input_mode": "text", "value": "{{INPUT.query}}"}
_BY_WORDS = {"feature_uri": TEXT_EXTRACTOR, "query": _QUERY, "lexical": True}
_BY_VECTOR = {"feature_uri": TEXT_EXTRACTOR, "query": _QUERY}

# Of a feature_search. What they leave out has its default.
Parameters = Mapping[str, Any]
# The names of runs are those of their retrievers.
SHIPPED: Mapping[str, Parameters] = {
    BM25: {"searches": [_BY_WORDS]},
    VECTOR: {"searches": [_BY_VECTOR]},
    HYBRID: {"searches": [_BY_WORDS, _BY_VECTOR]},
}


def hybrid(fusion: str, *, words: float, vector: float) -> Parameters:
    """Both searches with these weights."""
    searches = [{**_BY_WORDS, "weight": words}, {**_BY_VECTOR, "weight": vector}]
    return {"searches": searches, "fusion": fusion}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A judged collection in Kennel.

    Attributes:
        client: calls inside the namespace that holds it.
        model: the feature URI of the vectors that Kennel makes of titles and texts.
        write_token: of the last write.
    """

    client: Client
    collection_id: str
    model: str
    write_token: str


def load(client: Client, namespace_id: str, judged: Judged) -> Loaded:
    """Every document of the collection, with title and text, in a new collection of the namespace."""
    extractor = {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "input_mappings": {"text": ["title", "text"]},
    }
    created = client.call(
        "POST", "/v1/collections", {"collection_name": "judged", "feature_extractor": extractor}
    )
    documents = [
        {"document_id": each.document_id, "payload": {"title": each.title, "text": each.text}}
        for each in judged.documents
    ]
    write_token = ""
    for start in range(0, len(documents), _BATCH):
        upsert = {
            "collection_id": created["collection_id"],
            "documents": documents[start : start + _BATCH],
            "options": {"write_token": True},
        }
        written = client.call("POST", f"/v1/namespaces/{namespace_id}/documents/upsert", upsert)
        write_token = written["write_token"]
    model = created["vector_indexes"][0]["feature_uri"]
    return Loaded(client, created["collection_id"], model, write_token)


def shipped_qualities(loaded: Loaded, judged: Judged) -> list[Quality]:
    """What users get who choose nothing."""
    return [
        quality_of(name, rankings(loaded, name, parameters, judged.queries), judged)
        for name, parameters in SHIPPED.items()
    ]


def rankings(loaded: Loaded, name: str, parameters: Parameters, queries: Mapping[str, str]) -> Rankings:
    """The best 100 documents for each query, by a new retriever of this name: one feature_search.

    Raises:
        BenchError: an execution did not end well.
    """
    search = {"stage_id": "feature_search", "parameters": {**parameters, "final_top_k": RECALL_DEPTH}}
    body = {
        "retriever_name": name,
        "collection_identifiers": [loaded.collection_id],
        "input_schema": {"query": {"type": "string", "required": True}},
        "stages": [{"stage_name": "search", "config": search}],
    }
    retriever_id = loaded.client.call("POST", "/v1/retrievers", body)["retriever_id"]
    return {query_id: _found(loaded, retriever_id, text) for query_id, text in queries.items()}


def _found(loaded: Loaded, retriever_id: str, query: str) -> Sequence[str]:
    """Ids, best first. The write token makes a search of vectors wait until every text is embedded."""
    path = f"/v1/retrievers/{retriever_id}/execute"
    body = {"inputs": {"query": query}, "limit": RECALL_DEPTH, "write_token": loaded.write_token}
    execution = loaded.client.call("POST", path, body, Prefer=f"wait={_WAIT_S}")
    if execution["status"] != "completed":
        raise BenchError(
            f"the search for {query[:60]!r} is {execution['status']} after at most {_WAIT_S} s: "
            f"{execution['error'] or 'it has no error yet'}"
        )
    return [document["document_id"] for document in execution["documents"]]
