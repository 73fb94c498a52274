"""What system alerts watch: the queues and the workers, and how many executions fail."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from shared import keys
from shared.models.alert import SystemCondition
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import Submit, outcome
from workers.alerts.metrics import Measurement, SystemMetrics

SILENCE_MS = 10_000
NAMESPACE = "ns_1"


@pytest.fixture
def metrics(client: redis.Redis) -> SystemMetrics:
    return SystemMetrics(client, silence_ms=SILENCE_MS)


def queues(metrics: SystemMetrics, **params: Any) -> Measurement:
    condition = SystemCondition(type="task_queue_degraded", params=params)
    return metrics.measure("alt_a", condition, NAMESPACE)


def online(client: redis.Redis) -> None:
    seconds, _ = client.time()
    client.zadd(keys.WORKERS, {"worker-a": int(seconds) * 1000})


def test_no_worker_online_degrades_the_queues(client: redis.Redis, metrics: SystemMetrics) -> None:
    assert queues(metrics) == Measurement(True, {"longest_wait_seconds": 0.0, "workers_online": 0})
    online(client)
    assert queues(metrics) == Measurement(False, {"longest_wait_seconds": 0.0, "workers_online": 1})


def test_a_long_wait_in_any_queue_degrades_them(
    client: redis.Redis, metrics: SystemMetrics, submit: Submit
) -> None:
    online(client)
    submit("exec_a")
    assert not queues(metrics).holds
    pending = keys.pending("kennel.alerts")
    seconds, _ = client.time()
    client.zadd(pending, {"exec_old": (int(seconds) - 100) * 1_000_000})
    seen = queues(metrics)
    assert seen.holds
    assert 99 < seen.measured["longest_wait_seconds"] < 160
    assert not queues(metrics, max_wait_seconds=1_000).holds


def end(ledger: Ledger, submit: Submit, *statuses: str) -> None:
    assert {submit()[0] for _ in statuses} == {b"accepted"}
    for status in statuses:
        claim = next(
            found for number in range(1, 100) if (found := ledger.claim(f"exec_{number}")) is not None
        )
        ledger.finish(claim, outcome(status), claim_next=False)


def test_the_share_that_failed_is_of_those_that_ended_since_the_mark(
    client: redis.Redis, metrics: SystemMetrics, ledger: Ledger, submit: Submit
) -> None:
    condition = SystemCondition(type="batch_error_rate", params={"min_count": 4, "error_rate_threshold": 0.5})

    def look() -> Measurement:
        """As the worker does: the mark is kept where the evaluation is."""
        seen = metrics.measure("alt_a", condition, NAMESPACE)
        if seen.mark:
            client.hset(keys.alert_state("alt_a"), "mark", seen.mark)
        return seen

    end(ledger, submit, "failed", "failed")
    assert look() == Measurement(False, {"failed": 0, "ended": 0}, "[2,2]")
    end(ledger, submit, "failed", "failed", "completed")
    assert look() == Measurement(False, {"failed": 2, "ended": 3})  # too few to say
    end(ledger, submit, "failed")
    assert look() == Measurement(True, {"failed": 3, "ended": 4}, "[5,6]")
    end(ledger, submit, "failed", "failed", "degraded", "completed")
    assert look() == Measurement(False, {"failed": 2, "ended": 4}, "[7,10]")
