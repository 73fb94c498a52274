"""Notices that this worker takes nothing although its queues hold work, and makes it connect again.

A connection that ends without a word (a firewall forgot it, the machine at the other end vanished) leaves
Celery's consumer waiting for a message that cannot come, for tens of seconds or for ever.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

import redis
from celery import signals
from celery.worker import state
from kombu.connection import Connection
from redis.exceptions import RedisError

from shared import broker
from shared.logs import log_event
from shared.redis_sync import connect
from shared.settings import Settings
from workers.lease.stopping import StopFlag

log = logging.getLogger("kennel.worker")

_IDLE_S = 3.0  # without a message although there are some
_GIVE_UP_S = 10.0  # the same, although it has connected again
_TIMEOUT_S = 1.0
_EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h; the supervisor starts the worker again


class Advice(Enum):
    """What to do about a consumer."""

    NOTHING = "nothing"
    RECONNECT = "reconnect"
    EXIT = "exit"


class Idleness:
    """How long a consumer could have taken a message and did not. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._since_s: float | None = None  # None: it has just taken one, is busy, or there is none
        self._taken = 0
        self._has_reconnected = False

    def look(self, now_s: float, *, waiting: int, free: int, taken: int) -> Advice:
        """What to do, given the messages that wait, the free slots, and how many were ever taken."""
        if not waiting or free <= 0 or taken != self._taken:
            self._taken = taken
            self.forget()
            return Advice.NOTHING
        if self._since_s is None:
            self._since_s = now_s
        idle_s = now_s - self._since_s
        if idle_s >= _GIVE_UP_S:
            return Advice.EXIT
        if idle_s >= _IDLE_S and not self._has_reconnected:
            self._has_reconnected = True
            return Advice.RECONNECT
        return Advice.NOTHING

    def forget(self) -> None:
        """Nothing can be said of the time so far: Redis was away, or all was well."""
        self._since_s = None
        self._has_reconnected = False


class IdleWatch:
    """A thread of a worker's main process, with a connection of its own that gives up soon."""

    def __init__(self, consumer: Any, settings: Settings, stop: StopFlag, stuck: Callable[[], int]) -> None:
        """`consumer` is Celery's; `stuck` says how many slots will not become free."""
        self._consumer = consumer
        self._period_s = settings.sweep_ms / 1000
        self._stop = stop
        self._stuck = stuck
        self._redis: redis.Redis = connect(settings.redis_url, timeout_s=_TIMEOUT_S)
        self._idleness = Idleness()
        self._taken = 0
        self._pause = threading.Event()
        signals.task_received.connect(self._count, weak=False)
        threading.Thread(target=self._loop, name="kennel-idle-watch", daemon=True).start()

    def _count(self, **_: Any) -> None:
        self._taken += 1

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._pause.wait(self._period_s)
            if self._stuck() >= self._consumer.pool.num_processes:
                self._start_anew()
                return
            try:
                waiting = sum(self._redis.llen(queue) for queue in (*broker.QUEUES, broker.QUEUE_EMBED))
            except RedisError:
                self._idleness.forget()
                continue
            free = self._consumer.pool.num_processes - len(state.reserved_requests)
            self._follow(self._idleness.look(time.monotonic(), waiting=waiting, free=free, taken=self._taken))

    def _start_anew(self) -> None:
        """Every slot is stuck, so nothing is lost with the process: stop, and be started again."""
        log_event(log, "worker.stuck", level=logging.ERROR, action="stops", stages=self._stuck())
        os.kill(os.getpid(), signal.SIGTERM)

    def _follow(self, advice: Advice) -> None:
        if advice is Advice.RECONNECT:
            log_event(log, "worker.idle", level=logging.WARNING, action="connects again", after_s=_IDLE_S)
            self._consumer.hub.call_soon(_lose_connection, self._consumer)
        elif advice is Advice.EXIT:
            log_event(log, "worker.idle", level=logging.ERROR, action="exits", after_s=_GIVE_UP_S)
            os._exit(_EXIT_STUCK)


def _lose_connection(consumer: Any) -> None:
    """In the consumer's loop: it then does what it does whenever its connection breaks."""
    close_sockets(consumer.connection)
    raise redis.exceptions.ConnectionError("this worker took no message although its queues hold some")


def close_sockets(connection: Connection) -> None:
    """Those of Celery's consumer. Before it connects again it asks each for what is still to come.

    A connection that ended without a word has no answer to that; to wait for its timeouts takes as long as
    all the rest of the recovery.
    """
    for channel in list(connection.connection.channels):
        for pool in (channel.pool, channel.async_pool):
            pool.disconnect()
