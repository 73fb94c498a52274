"""The books as the API reads them. Lua keeps them (shared/lua/books.lua), `kennel doctor` compares them."""

from __future__ import annotations

from dataclasses import dataclass

from shared.broker import QUEUES
from shared.metrics import Measured
from shared.models.books import BooksReading, reading_of
from shared.redis_link import RedisLink
from shared.stores.reads import reading


@dataclass(frozen=True, slots=True)
class MetricsReading:
    now_ms: int  # by the clock of Redis
    workers_online: int
    stages_stuck: int
    measured: Measured
    reading: BooksReading  # of the installation


class BookStore:
    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def read(self, namespace_id: str = "") -> BooksReading:
        """The books of a namespace, or ('') of the installation. One round trip, atomic."""
        with reading():
            return reading_of(*await self._redis.fcall("read_books", namespace_id, *QUEUES))

    async def metrics(self, *, silence_ms: int) -> MetricsReading:
        """Everything that is measured, of one moment. One round trip.

        Args:
            silence_ms: Workers that were silent for longer are not online.
        """
        with reading():
            found = await self._redis.fcall("read_metrics", silence_ms, *QUEUES)
        now_ms, workers, stuck, fields, *books = found
        numbers = zip(fields[::2], fields[1::2], strict=True)
        measured = Measured({name.decode(): int(number) for name, number in numbers})
        return MetricsReading(int(now_ms), int(workers), int(stuck), measured, reading_of(*books))
