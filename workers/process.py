"""What one worker process holds: its connection, documents, definitions, keeper. Runs executions."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from shared import ids, keys
from shared.documents import open_document_store
from shared.embeddings.embedder import Embedder
from shared.errors import KennelError, StageError, Unavailable
from shared.logs import log_event
from shared.metrics import EXECUTION_TIME, QUEUE_WAIT, STALE_WRITES
from shared.models.execution import Claim, Status
from shared.outbound.addresses import parse_allow_list
from shared.outbound.guard import OutboundGuard
from shared.outbound.smtp import parse_smtp_url
from shared.redis_sync import Functions, connect, text, through_outage
from shared.settings import HEARTBEATS_MISSED, Settings
from shared.stores.alert_reading import AlertReader
from shared.stores.alert_submits import AlertSubmits
from shared.stores.collection_work import ALERTS, EMBEDDING, WorkTurns
from shared.stores.delivery_queue import DeliveryQueue
from shared.stores.ledger import Ledger, Outcome
from shared.vault import Vault
from workers.alerts.dispatch import AlertDispatch
from workers.alerts.evaluation import AlertEvaluator
from workers.alerts.metrics import SystemMetrics
from workers.deliveries.dispatcher import Dispatcher
from workers.deliveries.sender import Sender
from workers.embedding import EmbeddingWorker, ExecutionEmbeddings
from workers.execution.definition import DefinitionCache
from workers.execution.failure import failed_before_start, log_unforeseen, without_stages
from workers.execution.pipeline import Pipeline
from workers.execution.retrying import RetryPolicy
from workers.lease.cancellations import Cancellations
from workers.lease.identity import process_name
from workers.lease.keeper import Keeper
from workers.lease.run import Cancelled, ExecutionLost, HandedBack, RetryLater, Run, Stop
from workers.lease.stopping import StopFlag
from workers.meter import Meter

log = logging.getLogger("kennel.worker")

_PATIENCE_S = 60.0
_CALL_S = 2.0  # as long as a dead connection is taken for a slow one; every call is repeatable
_SECRET_BYTES = 32


class WorkerProcess:
    """Made after the fork, on first use."""

    def __init__(self, settings: Settings, worker: str, stop: StopFlag) -> None:
        self.settings = settings
        self._redis: redis.Redis = connect(settings.redis_url, timeout_s=_CALL_S)
        name = process_name(worker)
        self.ledger = Ledger(self._redis, settings, worker, name)
        self.meter = Meter()
        self.keeper = Keeper(self.ledger, settings, stop, self.meter)
        Cancellations(self._redis, name, self.keeper.cancel)
        self.documents = open_document_store(settings)
        self.embedder = Embedder(settings)
        self.embedding_worker = EmbeddingWorker(self.documents, self.embedder)
        functions = Functions(self._redis)
        self.embedding_turns = WorkTurns(functions, EMBEDDING)
        vault = Vault(settings.data_dir)
        self.deliveries = DeliveryQueue(self._redis, settings, vault)
        self.alerts = AlertReader(self._redis)
        self.alert_submits = AlertSubmits(self._redis, settings)
        self.alert_dispatch = AlertDispatch(self.documents, self.alerts, self.alert_submits)
        self.alert_turns = WorkTurns(functions, ALERTS)
        metrics = SystemMetrics(self._redis, silence_ms=settings.heartbeat_ms * HEARTBEATS_MISSED)
        self._evaluator = AlertEvaluator(self.alerts, metrics, vault)
        self.dispatcher = Dispatcher(
            self.deliveries, _sender(settings).send, settings, lambda: self.keeper.stopping
        )
        self._definitions = DefinitionCache(self._read)
        self._secret: bytes | None = None

    def run_claimed(
        self, claim: Claim, *, claim_next: Callable[[], bool]
    ) -> tuple[Outcome | None, Claim | None]:
        """Run to the end and write the outcome; `claim_next` is asked then whether to take another.

        Returns (outcome or None when the execution was let go, the next claim or None).
        """
        run = Run(claim, self.keeper)
        self.keeper.hold(run)
        self.meter.observe(QUEUE_WAIT, claim.waited_ms / 1000)
        begun = time.monotonic()
        try:
            outcome = self._outcome(run, begun)
            run.close()
            written, following = self.ledger.finish(
                claim, outcome, claim_next=claim_next(), told=run.untold()
            )
        except (Stop, Unavailable) as reason:
            self._let_go(run, reason)
            return None, None
        finally:
            self.keeper.let_go(run)
        if run.has_checkpoint and written:
            self._forget_checkpoint(claim)
        if not written:
            self.meter.count(STALE_WRITES)
            log_event(log, "execution.stale_write_refused", level=logging.WARNING,
                      execution_id=claim.execution_id, attempt=claim.attempt)  # fmt: skip
            return None, following
        spent_s = claim.spent_ms / 1000 + time.monotonic() - begun
        self.meter.observe(EXECUTION_TIME, spent_s, outcome.status)
        return outcome, following

    def _outcome(self, run: Run, begun: float) -> Outcome:
        """What the stages made of it; an execution that cannot even start has failed, too.

        Args:
            begun: when this attempt did (monotonic s).

        Raises:
            Stop: as the pipeline. Unavailable: Redis was away for long; that is no fault of the execution.
        """
        try:
            alert = run.claim.alert
            if alert and alert.problem:
                raise StageError(alert.problem)
            if alert and alert.condition:
                return self._evaluated(run.claim, without_stages(run.claim), begun)
            definition = self._definitions.get(run.claim)
            pipeline = Pipeline(
                run,
                definition,
                self.documents,
                embeddings=ExecutionEmbeddings(
                    run.claim.request, self.documents, self.embedder, self.embedding_worker
                ),
                resolve_collections=self._resolve_collections,
                cursor_secret=self._cursor_secret(),
                max_time_ms=self.settings.execution_max_time_ms,
                result_max_bytes=self.settings.result_max_bytes,
                retry_policy=RetryPolicy.of(self.settings),
                left_behind=self._left_behind(run.claim),
                meter=self.meter,
            )
            return self._evaluated(run.claim, pipeline.run(), begun)
        except (Stop, Unavailable):
            raise
        except KennelError as error:
            return failed_before_start(run.claim, error.message)
        except Exception as error:
            log_unforeseen(error, execution_id=run.claim.execution_id)
            return failed_before_start(
                run.claim, f"unexpected {type(error).__name__}; the worker's log says where"
            )

    def _evaluated(self, claim: Claim, outcome: Outcome, begun: float) -> Outcome:
        """With what it means for the alert that it evaluates, if any; `begun` is monotonic (s)."""
        if claim.alert is None:
            return outcome
        took_ms = claim.spent_ms + round((time.monotonic() - begun) * 1000)
        return self._evaluator.evaluated(claim, claim.alert, outcome, took_ms=took_ms)

    def _let_go(self, run: Run, reason: Exception) -> None:
        """The run ends here without an outcome of its own."""
        about: dict[str, Any] = {"execution_id": run.claim.execution_id, "attempt": run.claim.attempt}
        match reason:
            case HandedBack():
                self.keeper.hand_back(run)
            case RetryLater():
                self._retry(run, reason)
            case Cancelled():
                log_event(log, "execution.cancelled", **about)
            case ExecutionLost():
                log_event(log, "execution.lost", level=logging.WARNING, **about)
            case _:
                log_event(
                    log, "execution.outcome_not_written", level=logging.ERROR, error=str(reason), **about
                )

    def _retry(self, run: Run, later: RetryLater) -> None:
        """Another attempt, later, that goes on where this one stands."""
        claim = run.claim
        with contextlib.suppress(Unavailable, redis.RedisError):  # as a worker that died: the sweep finds it
            run.flush()  # what is told of stages that ended
            run.close()
            waits = self.ledger.retry(
                claim, later.delay_ms, later.stages_completed, later.detail, later.figures
            )
            log_event(
                log,
                "execution.waits_for_retry" if waits else "execution.lost",
                level=logging.WARNING,
                execution_id=claim.execution_id,
                attempt=claim.attempt,
                delay_ms=later.delay_ms,
                error=later.reason,
            )

    def _forget_checkpoint(self, claim: Claim) -> None:
        with contextlib.suppress(Unavailable, redis.RedisError):  # it ends by itself, later
            self.ledger.forget_checkpoint(claim.execution_id)

    def _left_behind(self, claim: Claim) -> bytes | None:
        """What an earlier attempt kept. One round trip, but for the first attempt none."""
        return self.ledger.checkpoint_state(claim.execution_id) if claim.epoch > 1 else None

    def _resolve_collections(self, namespace_id: str, identifiers: Sequence[str]) -> list[str]:
        """Ids of collections given by id or name. One round trip where there are names.

        Raises:
            StageError: a name that no collection of the namespace has.
        """
        names = [each for each in identifiers if not each.startswith(ids.COLLECTION_PREFIX)]
        if not names:
            return list(identifiers)
        key = keys.resource_names("collection", namespace_id)
        found: list[Any] = through_outage(lambda: self._redis.hmget(key, names), patience_s=_PATIENCE_S)
        by_name = dict(zip(names, found, strict=True))
        unknown = [name for name, collection_id in by_name.items() if collection_id is None]
        if unknown:
            raise StageError(f"there is no collection {unknown[0]!r} in this namespace")
        return [text(by_name[each]) if each in by_name else each for each in identifiers]

    def _read(self, key: str) -> bytes | None:
        value: bytes | None = self._redis.get(key)  # type: ignore[assignment]
        return value

    def _cursor_secret(self) -> bytes:
        if self._secret is None:
            made = secrets.token_hex(_SECRET_BYTES)
            through_outage(lambda: self._redis.set(keys.SECRET, made, nx=True), patience_s=_PATIENCE_S)
            self._secret = through_outage(lambda: self._read(keys.SECRET), patience_s=_PATIENCE_S)
        return self._secret or b""


def _sender(settings: Settings) -> Sender:
    smtp_url = settings.smtp_url.get_secret_value()
    guard = OutboundGuard(parse_allow_list(settings.outbound_allow))
    return Sender(guard, parse_smtp_url(smtp_url) if smtp_url else None, settings.smtp_from)


_process: WorkerProcess | None = None
_pid = 0
_lock = threading.Lock()


def worker_process(settings: Settings, worker: str, stop: StopFlag) -> WorkerProcess:
    """This process's one WorkerProcess; a forked child makes its own."""
    global _process, _pid
    if _process is not None and _pid == os.getpid():
        return _process
    with _lock:
        if _process is None or _pid != os.getpid():
            _process, _pid = WorkerProcess(settings, worker, stop), os.getpid()
        return _process


def running_process() -> WorkerProcess | None:
    """This process's WorkerProcess, if it has made one."""
    return _process if _pid == os.getpid() else None


def is_failure(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status == Status.FAILED
