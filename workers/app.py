"""The Celery app: `celery -A workers.app worker`. Wires settings, signals and the task together."""

from __future__ import annotations

import gc
import logging
import warnings
from contextlib import suppress
from typing import Any

import orjson
from celery import signals
from celery.platforms import SecurityWarning

from shared import keys
from shared.broker import DELIVER_TASK, DISPATCH_TASK, EMBED_TASK, RUN_TASK, make_celery, message_template
from shared.errors import KennelError
from shared.logs import configure_logging
from shared.redis_sync import connect, through_outage
from shared.settings import Settings
from shared.stores.collection_work import read_member
from workers.alerts.beat import AlertBeat
from workers.collection_work import WorkSweep, run_work
from workers.idle_watch import IdleWatch
from workers.lease.stopping import StopFlag
from workers.lease.sweeper import Sweeper
from workers.process import WorkerProcess, running_process, worker_process
from workers.stages.registry import catalogue, load_all
from workers.tasks import ExecutionFailed, run_execution

_PUBLISH_PATIENCE_S = 60.0

# Celery's warning to root is about pickle; Kennel's messages are JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

settings = Settings()
app = make_celery(settings)
stop = StopFlag()
_worker_name = "worker"


def process() -> WorkerProcess:
    return worker_process(settings, _worker_name, stop)


@app.task(name=RUN_TASK, throws=(ExecutionFailed,), ignore_result=True)
def run(execution_id: str) -> None:
    """Wake-up for one execution; without task events it goes on with the next ones in the queue."""
    run_execution(process(), execution_id, chain=not settings.task_events)


@app.task(name=EMBED_TASK, ignore_result=True)
def embed(member: str) -> None:
    """Wake-up for one collection (`<namespace id>/<collection id>`) with texts to embed."""
    here = process()
    run_work(here.embedding_worker, here.embedding_turns, read_member(member), lambda: here.keeper.stopping)


@app.task(name=DISPATCH_TASK, ignore_result=True)
def dispatch_alerts(member: str) -> None:
    """Wake-up for one collection (as above) with documents that alerts are to be asked about."""
    here = process()
    run_work(here.alert_dispatch, here.alert_turns, read_member(member), lambda: here.keeper.stopping)


@app.task(name=DELIVER_TASK, ignore_result=True)
def deliver() -> None:
    """Wake-up for deliveries that are due; the sending is done by threads of their own."""
    process().dispatcher.wake()


@signals.setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging(settings, "worker")
    # One line per event: ours says more than Celery's own two about the same execution.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.celeryd_init.connect
def _named(sender: str, **_: Any) -> None:
    global _worker_name  # noqa: PLW0603
    _worker_name = sender


@signals.worker_init.connect
def _warm(**_: Any) -> None:
    """Before any fork: load what every process needs, and keep the garbage collector off it."""
    load_all()
    message_template()
    gc.collect()
    gc.freeze()  # a full collection of all that is imported stops every thread for a tenth of a second


@signals.worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    """In the main process only: say that this worker is there, and watch over everybody's executions.

    `sender` is Celery's consumer.
    """
    publish_catalogue()
    here = process()
    sweeps = (
        WorkSweep(here.documents.behind, here.embedding_turns),
        WorkSweep(here.documents.with_ingested, here.alert_turns),
        AlertBeat(here.alerts, here.alert_submits),
        here.deliveries,
    )
    Sweeper(here.ledger, sweeps, settings, stop, here.meter)
    IdleWatch(sender, settings, stop, lambda: here.keeper.stuck)


@signals.worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    stop.set()


@signals.worker_shutdown.connect
def _shut_down(**_: Any) -> None:
    with suppress(KennelError):
        process().keeper.heartbeat(patience_s=0)
        process().ledger.resign()


@signals.worker_process_shutdown.connect
def _child_shut_down(**_: Any) -> None:
    """A child of the prefork pool goes: send what it has measured since its last heartbeat."""
    child = running_process()
    if child is not None:
        child.keeper.heartbeat(patience_s=0)


@signals.task_revoked.connect
def _revoked(request: Any = None, **_: Any) -> None:
    """A revoke from Celery's own tools cancels the record, not only the message."""
    if request is not None:
        process().ledger.cancel(request.id, "revoked with Celery's control commands")


def publish_catalogue() -> None:
    """Tell the API which stages there are; the newest worker's word counts."""
    client = connect(settings.redis_url)
    entries: dict[Any, Any] = {stage_id: orjson.dumps(entry) for stage_id, entry in catalogue().items()}
    through_outage(lambda: client.hset(keys.CATALOGUE, mapping=entries), patience_s=_PUBLISH_PATIENCE_S)
    client.close()
