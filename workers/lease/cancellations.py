"""How a worker process learns within milliseconds that what it runs was cancelled.

The scripts publish to the process that holds the execution, so it costs nothing until something is
cancelled. A publication can be lost; the next heartbeat tells the same.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import redis
from redis.exceptions import RedisError

from shared import keys
from shared.logs import log_event

log = logging.getLogger("kennel.cancellations")

_READ_TIMEOUT_S = 5.0
_RECONNECT_DELAY_S = 1.0


class Cancellations:
    """One thread per process, with a connection of its own. Start it after the fork."""

    def __init__(self, client: redis.Redis, process: str, cancel: Callable[[str, int], None]) -> None:
        """`cancel` is given execution id and epoch of each attempt of `process` that must stop."""
        self._client = client
        self._channel = keys.stop_channel(process)
        self._cancel = cancel
        self._away = False
        threading.Thread(target=self._loop, name="kennel-cancellations", daemon=True).start()

    def _loop(self) -> None:
        while True:
            try:
                self._listen()
            except RedisError as error:
                if not self._away:
                    log_event(log, "cancellations.lost", level=logging.WARNING, error=str(error))
                self._away = True
            time.sleep(_RECONNECT_DELAY_S)

    def _listen(self) -> None:
        with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(self._channel)
            self._away = False
            while True:
                message = subscription.get_message(timeout=_READ_TIMEOUT_S)
                if message is not None:
                    execution_id, epoch = message["data"].decode().split(" ")
                    self._cancel(execution_id, int(epoch))
