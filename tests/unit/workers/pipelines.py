"""Pipelines on a real document store, without Redis: nobody else wants these executions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from shared.documents import CollectionRef, DocumentStore, DocumentWrite
from shared.models.execution import Claim, ExecutionRequest, Page, StageEventType
from workers.context import Embeddings
from workers.execution.definition import DefinitionCache
from workers.execution.pipeline import Pipeline
from workers.execution.retrying import RetryPolicy
from workers.lease.interruptible import Interruptible
from workers.lease.run import Checkpoint, Run, Snapshot
from workers.meter import Meter

NAMESPACE = "ns_test"
SECRET = b"what cursors are signed with"
NO_RETRIES = RetryPolicy(0, 1, 1)


class PrivateRun(Run):
    """A run without lease and watchers; it notes the progress that would be sent."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.published: list[tuple[str | None, int]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stop: Exception | None = None
        self.states: list[bytes | None] = []
        self.saves = 0
        self.work = Interruptible()

    def check(self) -> None:
        if self.stop is not None:
            raise self.stop

    def publish(self, stage: str | None, stages_completed: int, snapshot: Snapshot) -> None:
        self.published.append((stage, stages_completed))
        snapshot()

    def tell(self, event_type: StageEventType, members: Callable[[], bytes]) -> None:
        self.told.append((event_type, orjson.loads(b"{" + members()[1:] + b"}")))

    def keep(self, checkpoint: Checkpoint) -> None:
        self.states.append(checkpoint.state())
        checkpoint.rows()

    def save(self) -> None:
        self.saves += 1


class NoEmbeddings:
    """For pipelines that embed nothing."""

    def embed_query(self, model: str, text: str, task: str) -> list[float] | None:
        raise AssertionError("nothing is embedded here")

    def wait_for(self, ref: CollectionRef, check: Callable[[], None]) -> None:
        pass


def claim(collection_ids: Sequence[str], *, spent_ms: int = 0, **over: Any) -> Claim:
    request = ExecutionRequest(
        **{"inputs": {}, "page": Page("offset", 500), **over, "collection_ids": collection_ids}
    )
    return Claim(
        "exec_1", 1, 1, spent_ms, "ret_1", 1, NAMESPACE, ExecutionRequest.from_json(request.to_json())
    )


def pipeline(
    store: DocumentStore,
    stages: Sequence[Mapping[str, Any]],
    collection_ids: Sequence[str],
    *,
    run: PrivateRun | None = None,
    embeddings: Embeddings | None = None,
    budget: Mapping[str, Any] | None = None,
    max_time_ms: int = 60_000,
    result_max_bytes: int = 16_000_000,
    retry_policy: RetryPolicy = NO_RETRIES,
    left_behind: bytes | None = None,
    **request: Any,
) -> Pipeline:
    """`stages` as a snapshot holds them: stage_name, stage_id, parameters, and maybe more."""
    run = run or PrivateRun(claim(collection_ids, **request))
    snapshot = orjson.dumps({"retriever_name": "test", "stages": stages, "budget_limits": budget})
    return Pipeline(
        run,
        DefinitionCache(lambda key: snapshot).get(run.claim),
        store,
        embeddings=embeddings or NoEmbeddings(),
        resolve_collections=lambda namespace_id, identifiers: identifiers,
        cursor_secret=SECRET,
        max_time_ms=max_time_ms,
        result_max_bytes=result_max_bytes,
        retry_policy=retry_policy,
        left_behind=left_behind,
        meter=Meter(),
    )


def execute(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """The end of a pipeline as a client would see it: status, error, and the detail's members."""
    outcome = pipeline(*args, **kwargs).run()
    detail: dict[str, Any] = orjson.loads(b"{" + outcome.detail[1:])
    return {"status": outcome.status, "error": outcome.error, "completed": outcome.stages_completed, **detail}


def fill(store: DocumentStore, collection_id: str, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """A collection that holds exactly these documents, id -> fields."""
    ref = CollectionRef(NAMESPACE, collection_id)
    store.drop_collection(ref)
    store.create_collection(ref)
    store.upsert(ref, [DocumentWrite(document_id, fields) for document_id, fields in documents.items()])


def stage(name: str, stage_id: str, /, **parameters: Any) -> dict[str, Any]:
    return {"stage_name": name, "stage_id": stage_id, "parameters": parameters}
