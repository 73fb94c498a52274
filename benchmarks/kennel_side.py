"""Kennel as it is measured: its own commands and settings, set up over its own HTTP interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from benchmarks.client import Client
from benchmarks.load import Requests
from benchmarks.processes import ROOT, Process, running, wait_for
from benchmarks.retrievers import STAGE_NAMES, Retriever, set_up
from benchmarks.servers import HOST, QUERY, START_S, RedisServer, redis_server
from benchmarks.stages import BenchNoop, BenchSleep, write_package
from ops.commands import POOL_CLASS, api_arguments, environment, worker_arguments
from ops.ports import free_port
from shared import broker, ids, keys
from shared.models.execution import Budget, Detail, Page, Status, figures, pagination_of
from shared.packing import unpacked
from shared.redis_link import RedisLink
from shared.redis_sync import texts
from shared.settings import Settings
from shared.stores.api_keys import ensure_key
from shared.stores.ledger import Ledger, Outcome
from shared.stores.resources import cancel_pending


class Kennel:
    """One API process with authentication on, its Redis server, and workers when asked for."""

    def __init__(
        self, directory: Path, settings: Settings, redis: RedisServer, api: Process, api_key: str
    ) -> None:
        self.settings = settings
        self.redis = redis
        self.api = api
        self.api_key = api_key
        self._directory = directory
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._ledger = Ledger(redis.client, settings, "bench")
        with self.worker() as worker, contextlib.closing(self.client()) as client:
            stage_ids = (BenchNoop.stage_id, BenchSleep.stage_id)
            wait_for(
                lambda: all(self._has_stage(each) for each in stage_ids), worker, START_S, "the catalogue"
            )
            self.retrievers = set_up(client)

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
            self._ledger.progress(claim, 1, STAGE_NAMES[1], 1, detail_after(1), figures())
        return started

    def finish(self, execution_ids: Sequence[str]) -> None:
        outcome = Outcome(Status.COMPLETED, None, len(STAGE_NAMES), detail_after(len(STAGE_NAMES)), figures())
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

    def reports(self, retriever: Retriever, count: int) -> list[Mapping[str, Any]]:
        """What the stages of its newest `count` completed executions said in their statistics."""
        client = self.redis.client
        newest = client.zrange(keys.history(retriever.retriever_id, Status.COMPLETED), -count, -1)
        reported = []
        for execution_id in texts(cast(list[bytes], newest)):
            detail = cast(bytes, client.hget(keys.execution(execution_id), "detail"))
            stages = orjson.loads(b"{" + unpacked(detail)[1:])["stage_statistics"]["stages"]
            reported += [stage["metadata"] for stage in stages.values()]
        return reported

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


def detail_after(stages_completed: int) -> bytes:
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
