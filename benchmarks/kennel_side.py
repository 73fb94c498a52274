"""Kennel as it is measured: its own commands and settings, set up over its own HTTP interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.client import Client
from benchmarks.load import Requests
from benchmarks.processes import ROOT, Process, running, wait_for
from benchmarks.servers import HOST, QUERY, START_S, RedisServer, redis_server
from benchmarks.stages import BenchNoop, BenchSleep, write_package
from ops.commands import POOL_CLASS, api_arguments, environment, worker_arguments
from ops.ports import free_port
from shared import broker, ids, keys
from shared.models.execution import Budget, Detail, Page, Status, figures, pagination_of
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.api_keys import ensure_key
from shared.stores.ledger import Ledger, Outcome
from shared.stores.resources import cancel_pending

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


class Kennel:
    """One API process with authentication on, its Redis server, and workers when asked for."""

    def __init__(
        self, directory: Path, settings: Settings, redis: RedisServer, api: Process, api_key: str
    ) -> None:
        self.settings = settings
        self.redis = redis
        self.api = api
        self._directory = directory
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._ledger = Ledger(redis.client, settings, "bench")
        with self.worker() as worker, contextlib.closing(self.client()) as client:
            stage_ids = (BenchNoop.stage_id, BenchSleep.stage_id)
            wait_for(
                lambda: all(self._has_stage(each) for each in stage_ids), worker, START_S, "the catalogue"
            )
            self.retrievers = _set_up(client)

    def _has_stage(self, stage_id: str) -> bool:
        return bool(self.redis.client.hexists(keys.CATALOGUE, stage_id))

    def client(self, namespace_id: str | None = None) -> Client:
        scope = {"X-Namespace": namespace_id} if namespace_id else {}
        return Client(HOST, self.settings.port, self._headers | scope)

    @contextlib.contextmanager
    def worker(self, **changed: Any) -> Iterator[Process]:
        """One worker process with some settings changed, for the time of the block."""
        settings = self.settings.model_copy(update=changed)
        env = environment(settings) | {
            "CELERY_CUSTOM_WORKER_POOL": POOL_CLASS,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(self._directory / "stages")]),
        }
        arguments = worker_arguments(settings.pool, settings.threads, "bench@%h")
        with running("worker", (sys.executable, *arguments), env, self._directory) as process:
            yield process

    def submits(self, retriever: Retriever | None = None) -> Requests:
        retriever = retriever or self.retrievers.noop
        headers = self._headers | {"X-Namespace": retriever.namespace_id, "Content-Type": "application/json"}
        body = json.dumps({"inputs": {"query": QUERY}})
        return Requests(HOST, self.settings.port, "POST", [f"{retriever.path}/execute"], headers, body)

    def polls(self, execution_ids: Sequence[str]) -> Requests:
        retriever = self.retrievers.noop
        headers = self._headers | {"X-Namespace": retriever.namespace_id}
        paths = [f"{retriever.path}/executions/{execution_id}" for execution_id in execution_ids]
        return Requests(HOST, self.settings.port, "GET", paths, headers)

    def begin(self, count: int) -> list[str]:
        """Submitted over HTTP, claimed here as a worker does, one stage done. Nobody sweeps, so they stay."""
        retriever = self.retrievers.noop
        started = []
        with contextlib.closing(self.client(retriever.namespace_id)) as client:
            for _ in range(count):
                answer = client.call("POST", f"{retriever.path}/execute", {"inputs": {"query": QUERY}})
                started.append(answer["execution_id"])
        self._claims = [claim for each in started if (claim := self._ledger.claim(each))]
        for claim in self._claims:
            self._ledger.progress(claim, 1, STAGE_NAMES[1], 1, _detail(1), figures())
        return started

    def finish(self, execution_ids: Sequence[str]) -> None:
        outcome = Outcome(Status.COMPLETED, None, len(STAGE_NAMES), _detail(len(STAGE_NAMES)), figures())
        for claim in self._claims:
            if claim.execution_id in execution_ids:
                self._ledger.finish(claim, outcome, claim_next=False)

    def drain(self) -> None:
        asyncio.run(self._cancel_all())
        self.redis.client.delete(broker.QUEUE_NORMAL)

    async def _cancel_all(self) -> None:
        settings = self.settings
        link = RedisLink(settings.redis_url, timeout_s=START_S)
        try:
            await cancel_pending(
                link,
                self.retrievers.noop.retriever_id,
                '"drained"',
                result_ttl_s=settings.result_ttl_s,
                summary_ttl_s=settings.summary_ttl_s,
                history_max=settings.history_max,
            )
        finally:
            await link.close()

    def completed(self, retriever: Retriever) -> int:
        """How many executions of the retriever have ended well. One command."""
        return int(self.redis.client.zcard(keys.history(retriever.retriever_id, Status.COMPLETED)))


@contextlib.contextmanager
def kennel_running(directory: Path) -> Iterator[Kennel]:
    """Redis, API and retrievers, ready; logs of all in `directory`."""
    directory.mkdir()
    write_package(directory / "stages")
    with redis_server("redis", directory) as redis:
        settings = Settings(
            redis_url=redis.url,
            data_dir=directory,
            port=free_port(HOST),
            workers=1,
            task_events=False,
            demo=False,
            log_level="warning",
        )
        api_key = ids.api_key()
        ensure_key(redis.client, api_key)
        arguments = (sys.executable, *api_arguments(HOST, settings.port))
        with running("api", arguments, environment(settings), directory) as api:
            with contextlib.closing(Client(HOST, settings.port, {})) as client:
                wait_for(lambda: _is_live(client), api, START_S, "Kennel's API answers")
            yield Kennel(directory, settings, redis, api, api_key)


def _is_live(client: Client) -> bool:
    try:
        client.call("GET", "/v1/health/liveness")
    except OSError:
        client.close()
        return False
    return True


def _set_up(client: Client) -> Retrievers:
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


def _detail(stages_completed: int) -> bytes:
    """What a worker writes after that many no-op stages."""
    statistics: Mapping[str, Any] = {
        "input_count": 0,
        "output_count": 0,
        "duration_ms": 0.125,
        "efficiency": 0.0,
        "cache_hit": False,
        "stage_cache_hit": False,
    }
    return Detail(
        budget=Budget().report(0.01 * stages_completed, 1.0),
        pagination=pagination_of(Page(), 0, 0, None),
        stages={name: statistics for name in STAGE_NAMES[:stages_completed]},
        total_time_ms=1.0,
        credits_used=0.01 * stages_completed,
    ).to_json()


def sleeps_of(kennel: Kennel, retriever: Retriever, count: int) -> list[Mapping[str, Any]]:
    """What the stages of the newest `count` completed executions reported in their statistics."""
    redis = kennel.redis.client
    newest = redis.zrange(keys.history(retriever.retriever_id, Status.COMPLETED), -count, -1)
    reported = []
    for execution_id in newest:  # type: ignore[union-attr]
        detail = redis.hget(keys.execution(execution_id.decode()), "detail")
        stages = orjson.loads(b"{" + detail[1:])["stage_statistics"]["stages"]  # type: ignore[index]
        reported += [stage["metadata"] for stage in stages.values()]
    return reported
