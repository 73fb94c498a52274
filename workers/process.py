"""What one worker process holds: its connection, documents, definitions, keeper. Runs executions."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable

import redis

from shared import keys
from shared.documents import open_document_store
from shared.errors import KennelError, Unavailable
from shared.logs import log_event
from shared.models.execution import Claim, Status
from shared.redis_sync import connect, through_outage
from shared.settings import Settings
from shared.stores.ledger import Ledger, Outcome
from workers.definition import DefinitionCache
from workers.identity import process_name
from workers.keeper import Keeper
from workers.pipeline import Pipeline, failed_before_start, log_unforeseen
from workers.run import ExecutionLost, HandedBack, Run, Stop
from workers.stopping import StopFlag

log = logging.getLogger("kennel.worker")

_PATIENCE_S = 60.0
_SECRET_BYTES = 32


class WorkerProcess:
    """Made after the fork, on first use."""

    def __init__(self, settings: Settings, worker: str, stop: StopFlag) -> None:
        self.settings = settings
        self._redis: redis.Redis = connect(settings.redis_url)
        self.ledger = Ledger(self._redis, settings, worker, process_name(worker))
        self.keeper = Keeper(self.ledger, settings, stop)
        self._documents = open_document_store(settings)
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
        try:
            outcome = self._outcome(run)
            run.close()
            written, following = self.ledger.finish(claim, outcome, claim_next=claim_next())
        except HandedBack:
            self.keeper.hand_back(run)
            return None, None
        except Unavailable as error:
            log_event(log, "execution.outcome_not_written", level=logging.ERROR, error=error.message,
                      execution_id=claim.execution_id, attempt=claim.attempt)  # fmt: skip
            return None, None
        except ExecutionLost:
            log_event(log, "execution.lost", level=logging.WARNING, execution_id=claim.execution_id,
                      attempt=claim.attempt)  # fmt: skip
            return None, None
        finally:
            self.keeper.let_go(run)
        if not written:
            log_event(log, "execution.stale_write_refused", level=logging.WARNING,
                      execution_id=claim.execution_id, attempt=claim.attempt)  # fmt: skip
            return None, following
        return outcome, following

    def _outcome(self, run: Run) -> Outcome:
        """What the stages made of it; an execution that cannot even start has failed, too.

        Raises:
            Stop: as the pipeline. Unavailable: Redis was away for long; that is no fault of the execution.
        """
        try:
            definition = self._definitions.get(run.claim)
            pipeline = Pipeline(
                run,
                definition,
                self._documents,
                cursor_secret=self._cursor_secret(),
                max_time_ms=self.settings.execution_max_time_ms,
                result_max_bytes=self.settings.result_max_bytes,
            )
            return pipeline.run()
        except (Stop, Unavailable):
            raise
        except KennelError as error:
            return failed_before_start(run.claim, error.message)
        except Exception as error:
            log_unforeseen(error, execution_id=run.claim.execution_id)
            return failed_before_start(
                run.claim, f"unexpected {type(error).__name__}; the worker's log says where"
            )

    def _read(self, key: str) -> bytes | None:
        value: bytes | None = self._redis.get(key)  # type: ignore[assignment]
        return value

    def _cursor_secret(self) -> bytes:
        if self._secret is None:
            made = secrets.token_hex(_SECRET_BYTES)
            through_outage(lambda: self._redis.set(keys.SECRET, made, nx=True), patience_s=_PATIENCE_S)
            self._secret = through_outage(lambda: self._read(keys.SECRET), patience_s=_PATIENCE_S)
        return self._secret or b""


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


def is_failure(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status == Status.FAILED
