"""Celery as Kennel uses it, and the one place that knows the broker's wire format.

Submit puts the message into the queue inside the same Lua call that writes the record, so the message
is made from a template which Celery publishes, once per process, to kombu's in-memory transport.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.entity import Queue

from shared.models.execution import Priority
from shared.settings import Settings

RUN_TASK = "kennel.run"
EMBED_TASK = "kennel.embed"
DELIVER_TASK = "kennel.deliver"
DISPATCH_TASK = "kennel.alerts_dispatch"
QUEUE_INTERACTIVE = "kennel.interactive"
QUEUE_NORMAL = "kennel.normal"
QUEUE_BULK = "kennel.bulk"
QUEUE_ALERTS = "kennel.alerts"
QUEUE_EMBED = "kennel.embed"
QUEUE_DELIVER = "kennel.deliver"
QUEUE_DISPATCH = "kennel.dispatch"
_QUEUES_OF_TASKS = (QUEUE_EMBED, QUEUE_DISPATCH, QUEUE_DELIVER)
QUEUES = (QUEUE_INTERACTIVE, QUEUE_NORMAL, QUEUE_ALERTS, QUEUE_BULK)  # of executions, the first first
QUEUE_OF: Mapping[Priority, str] = {
    "interactive": QUEUE_INTERACTIVE,
    "normal": QUEUE_NORMAL,
    "bulk": QUEUE_BULK,
}

_ID, _SEQ, _SHADOW, _QUEUE, _REF = "@ID@", "@SEQ@", "@SHADOW@", "@QUEUE@", "@REF@"


class SteadyConnection(Connection):
    """Comes back within two seconds of its server; kombu's own pauses grow to thirty."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        pauses_s = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2}
        ensure: Any = super().ensure_connection
        return ensure(*args, **{**pauses_s, **options})


class SteadyAMQP(AMQP):  # type: ignore[misc]
    Connection = SteadyConnection


def make_celery(settings: Settings) -> Celery:
    """The app of workers and Flower; the API never talks to Celery."""
    app = Celery("kennel", broker=settings.redis_url, amqp=SteadyAMQP, set_as_current=False)
    app.conf.update(
        # The record is the truth: leases and the sweep redeliver, so kombu's own bookkeeping of
        # unacknowledged messages, which costs more than everything else, is off.
        broker_transport_options={
            "ack_emulation": False,
            "priority_steps": [0],
            "queue_order_strategy": "shared.queue_order:InOrder",
            "health_check_interval": 5,
            "socket_keepalive": True,
            # Above the second of a BRPOP. A worker's one loop waits so long for a connection that is dead.
            "socket_timeout": 3,
            "socket_connect_timeout": 2,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_default_queue=QUEUE_NORMAL,
        task_queues=[Queue(name, routing_key=name) for name in (*QUEUES, *_QUEUES_OF_TASKS)],
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        result_backend=None,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        # One execution per free slot: nothing waits behind a long one in a worker's own buffer.
        worker_disable_prefetch=True,
        # There is no result to wait for of a pool's child that is gone.
        worker_lost_wait=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=settings.task_events,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=True,
    )
    return app


@cache
def message_template() -> str:
    """The message of an execution, with @ID@, @SEQ@, @SHADOW@ and @QUEUE@ where Lua puts its values."""
    message = _published(RUN_TASK, _QUEUE, _ID, shadow=_SHADOW, headers={"seq": 0})
    return json.dumps(message).replace('"seq": 0', f'"seq": {_SEQ}')


@cache
def embed_template() -> str:
    """The message that a collection has texts to embed, with @ID@ and @REF@ (namespace/collection)."""
    return json.dumps(_published(EMBED_TASK, QUEUE_EMBED, _REF, shadow=f"embed@{_REF}"))


@cache
def dispatch_template() -> str:
    """The message that alerts are to be asked about a collection's documents, with @ID@ and @REF@."""
    return json.dumps(_published(DISPATCH_TASK, QUEUE_DISPATCH, _REF, shadow=f"alerts@{_REF}"))


@cache
def deliver_template() -> str:
    """The message that deliveries are due, with @ID@."""
    return json.dumps(_published(DELIVER_TASK, QUEUE_DELIVER, shadow="deliver"))


def _published(task: str, queue: str, *arguments: str, **options: Any) -> dict[str, Any]:
    """The message of a task, as Celery itself publishes it to kombu's in-memory transport.

    So it is right by construction. Only the body differs: as plain JSON text instead of base64, which
    kombu takes as it is.
    """
    with Celery("kennel-template", broker="memory://localhost/", set_as_current=False) as app:
        app.send_task(task, args=arguments, task_id=_ID, queue=queue, ignore_result=True, **options)
        with app.connection_for_read() as connection, connection.channel() as channel:
            message: dict[str, Any] = channel._get(queue)
    message["body"] = base64.b64decode(message["body"]).decode()
    message["headers"]["origin"] = "kennel"
    properties = message["properties"]
    del properties["body_encoding"]
    properties.update(delivery_tag=_ID, reply_to="")
    return message
