"""What Prometheus reads, rendered at most once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.cache import TtlCache
from shared.metrics import BOUNDS_S, COUNTERS, HISTOGRAMS, Counter, Histogram, Measured
from shared.models.execution import TERMINAL, Status
from shared.settings import HEARTBEATS_MISSED, Settings
from shared.stores.books import BookStore, MetricsReading

_TTL_S = 1.0


class MetricsService:
    def __init__(self, books: BookStore, settings: Settings) -> None:
        self._books = books
        self._silence_ms = settings.heartbeat_ms * HEARTBEATS_MISSED
        self._text: TtlCache[str, bytes] = TtlCache(max_entries=1, ttl_s=_TTL_S)
        self._asking = asyncio.Lock()

    async def text(self) -> bytes:
        """All metrics in Prometheus' text format.

        Raises:
            Unavailable: Redis is away.
        """
        async with self._asking:  # one question at a time, however many ask
            text = self._text.get("text")
            if text is None:
                text = generate_latest(_Snapshot(await self._books.metrics(silence_ms=self._silence_ms)))
                self._text.put("text", text)
        return text


class _Snapshot(Collector):
    """One reading as metric families. Names of namespaces and retrievers are in none of them."""

    def __init__(self, reading: MetricsReading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield from self._books()
        yield from self._now()
        for counter in COUNTERS:
            yield _counter(counter, self._reading.measured)
        for histogram in HISTOGRAMS:
            yield _histogram(histogram, self._reading.measured)

    def _books(self) -> Iterator[Metric]:
        reading = self._reading.reading
        books = reading.books
        for name, text, value in (
            ("kennel_executions_submitted", "Executions that were accepted.", books.accepted),
            ("kennel_attempts", "Starts of executions by a worker.", books.attempts),
            ("kennel_requeued", "Executions put back after they had started.", books.requeued),
        ):
            yield CounterMetricFamily(name, text, value=value)
        ended = CounterMetricFamily("kennel_executions", "Executions that ended.", labels=["status"])
        for status in sorted(TERMINAL):
            ended.add_metric([status.value], books.entered(status))
        yield ended
        unfinished = GaugeMetricFamily(
            "kennel_executions_unfinished", "Executions that have not ended.", labels=["status"]
        )
        for status in (Status.PENDING, Status.PROCESSING):
            unfinished.add_metric([status.value], books.held(status))
        yield unfinished
        yield GaugeMetricFamily(
            "kennel_books_balanced",
            "1 while the books agree with the queues and leases; else run `kennel doctor`.",
            value=int(reading.is_balanced),
        )

    def _now(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "kennel_workers_online",
            "Workers heard of within three heartbeats.",
            value=self._reading.workers_online,
        )
        yield GaugeMetricFamily(
            "kennel_stages_stuck",
            "Stages that must stop and cannot be ended: each keeps a thread of its worker.",
            value=self._reading.stages_stuck,
        )
        depth = GaugeMetricFamily("kennel_queue_depth", "Executions that wait in a queue.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "kennel_queue_oldest_seconds",
            "How long the one that came first has been in its queue; 0 when it is empty.",
            labels=["queue"],
        )
        for queue in self._reading.reading.queues:
            since_ms = self._reading.now_ms
            if queue.oldest_sequence is not None:
                since_ms = min(since_ms, queue.oldest_sequence // 1000)
            depth.add_metric([queue.name], queue.depth)
            oldest.add_metric([queue.name], (self._reading.now_ms - since_ms) / 1000)
        yield depth
        yield oldest


def _counter(counter: Counter, measured: Measured) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=_labels(counter))
    for value, count in measured.counts(counter).items():
        family.add_metric([value] if counter.label else [], count)
    return family


def _histogram(histogram: Histogram, measured: Measured) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=_labels(histogram))
    bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
    for value, found in measured.distributions(histogram).items():
        cumulated = list(zip(bounds, accumulate(found.buckets), strict=True))
        family.add_metric([value] if histogram.label else [], cumulated, found.sum_s)
    return family


def _labels(metric: Counter | Histogram) -> list[str]:
    return [metric.label] if metric.label else []
