"""How an API process learns of changed executions and ended batches: one subscription for all its requests.

Scripts publish to the channels of the processes that wait for a record, to no other. Publications can
be lost, so whoever waits also looks again every now and then.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared import keys
from shared.logs import log_event

log = logging.getLogger("kennel.wakeups")

_READ_TIMEOUT_S = 5.0
_MAX_RECONNECT_DELAY_S = 2.0
_CANCEL_AGAIN_S = 0.1


class Changed(asyncio.Event):
    """Set when something watched may have changed; `ids` says what, until it is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()

    def note(self, watched_id: str) -> None:
        self.ids.add(watched_id)
        self.set()

    def clear(self) -> None:
        self.ids.clear()
        super().clear()


class Wakeups:
    """Start inside a running loop; close at the end."""

    def __init__(self, redis_url: str) -> None:
        self.name = secrets.token_hex(6)
        self._client = Redis.from_url(
            redis_url, protocol=2, socket_connect_timeout=2.0, socket_timeout=_READ_TIMEOUT_S * 2
        )
        self._waiting: dict[str, set[Changed]] = {}
        self._reader = asyncio.create_task(self._read(), name="wakeups")

    async def close(self) -> None:
        while not self._reader.done():
            # More than once: redis-py can swallow a cancellation while it subscribes.
            self._reader.cancel()
            await asyncio.wait([self._reader], timeout=_CANCEL_AGAIN_S)
        await self._client.aclose()

    @contextmanager
    def listening(self, *watched_ids: str) -> Iterator[Changed]:
        """An event that is set whenever one of these is published, from now until the block ends."""
        event = Changed()
        for watched_id in watched_ids:
            self._waiting.setdefault(watched_id, set()).add(event)
        try:
            yield event
        finally:
            for watched_id in watched_ids:
                self._forget(watched_id, event)

    def _forget(self, watched_id: str, event: Changed) -> None:
        events = self._waiting.get(watched_id, set())
        events.discard(event)
        if not events:
            self._waiting.pop(watched_id, None)

    async def _read(self) -> None:
        delay_s = 0.1
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(keys.wake_channel(self.name))
                    delay_s = 0.1
                    self._wake_all()  # whatever happened while nobody listened
                    while True:
                        message = await subscription.get_message(timeout=_READ_TIMEOUT_S)
                        if message is not None:
                            self._wake(message["data"].split(b" ", 1)[0].decode())
            except (RedisError, OSError) as error:
                log_event(log, "wakeups.lost", level=logging.WARNING, error=str(error), retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _MAX_RECONNECT_DELAY_S)

    def _wake(self, watched_id: str) -> None:
        for event in self._waiting.get(watched_id, ()):
            event.note(watched_id)

    def _wake_all(self) -> None:
        for watched_id in self._waiting:
            self._wake(watched_id)
