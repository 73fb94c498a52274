"""Executions of a search in this process: the worker's own pipeline, without HTTP, Redis and Celery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from benchmarks.corpus import VECTOR_NAME, Query
from benchmarks.figures import BenchError
from shared.documents import CollectionRef, DocumentStore
from shared.models.execution import Claim, ExecutionRequest, Page, StageEventType, Status
from shared.stores.ledger import Outcome
from workers.execution.definition import Definition, DefinitionCache
from workers.execution.pipeline import Pipeline
from workers.execution.retrying import RetryPolicy
from workers.lease.interruptible import Interruptible
from workers.lease.run import Checkpoint, Run, Snapshot
from workers.meter import Meter

HITS = 25
_MAX_TIME_MS = 60_000
_RESULT_MAX_BYTES = 16_000_000
_WORDS = {"feature_uri": "words", "lexical": True, "query": {"value": "{{INPUT.words}}"}}
_VECTOR = {"feature_uri": VECTOR_NAME, "query": {"input_mode": "vector", "value": "{{INPUT.vector}}"}}
_SEARCHES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "words": [_WORDS],
    "vector": [_VECTOR],
    "hybrid": [_WORDS, _VECTOR],
}


class _Unwatched(Run):
    """Nobody else wants the execution, and nobody looks at its progress."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.work = Interruptible()

    def check(self) -> None:
        pass

    def publish(self, stage: str | None, stages_completed: int, snapshot: Snapshot) -> None:
        pass

    def tell(self, event_type: StageEventType, members: Callable[[], bytes]) -> None:
        pass

    def keep(self, checkpoint: Checkpoint) -> None:
        pass


class NoEmbeddings:
    """The queries bring their vectors."""

    def embed_query(self, model: str, text: str, task: str) -> Sequence[float] | None:
        raise BenchError(f"the benchmark embeds nothing, but was asked to: {text!r}")

    def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
        pass


class Search:
    """A retriever of one feature_search by words, by vector, or hybrid: 100 of each, fused, 25 returned."""

    def __init__(self, store: DocumentStore, ref: CollectionRef, kind: str) -> None:
        self._store = store
        self._ref = ref
        self._definitions = DefinitionCache(lambda key: _snapshot(kind))

    def run(self, query: Query) -> Outcome:
        """One execution, from the claim to the outcome that would be written."""
        inputs = {"words": query.words, "vector": query.vector}
        request = ExecutionRequest(inputs, [self._ref.collection_id], page=Page(size=HITS))
        claim = Claim("exec_bench", 1, 1, 0, "ret_bench", 1, self._ref.namespace_id, request)
        definition: Definition = self._definitions.get(claim)
        outcome = Pipeline(
            _Unwatched(claim),
            definition,
            self._store,
            embeddings=NoEmbeddings(),
            resolve_collections=lambda namespace_id, identifiers: identifiers,
            cursor_secret=b"secret",
            max_time_ms=_MAX_TIME_MS,
            result_max_bytes=_RESULT_MAX_BYTES,
            retry_policy=RetryPolicy(retries_max=0, first_ms=1, max_ms=1),
            meter=Meter(),
        ).run()
        if outcome.status != Status.COMPLETED:
            raise BenchError(f"a search ended as {outcome.status}: {outcome.error}")
        return outcome

    def hits(self, query: Query) -> list[tuple[str, Any, float]]:
        """(document id, payload, score) of an execution's answer."""
        detail = orjson.loads(b"{" + self.run(query).detail[1:])
        return [(each["document_id"], each["payload"], each["score"]) for each in detail["documents"]]


def _snapshot(kind: str) -> bytes:
    parameters = {"searches": _SEARCHES[kind], "final_top_k": HITS}
    stage = {"stage_name": "search", "stage_id": "feature_search", "parameters": parameters}
    return orjson.dumps({"retriever_name": "bench", "stages": [stage]})
