"""Alerts on a schedule: one run for each time that is due, however many workers look, late if none did."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from shared import keys
from shared.alerts.schedule import next_due_ms
from shared.clock import instant_ms, iso
from shared.models.alert import Schedule
from shared.settings import Settings
from shared.stores.alert_reading import AlertReader
from shared.stores.alert_submits import AlertSubmits, DueAlert
from tests.integration.record.alerts import (
    COLLECTION,
    CREATED,
    RETRIEVER,
    application,
    constant,
    runs,
    store_alert,
    store_collection,
    store_retriever,
)
from workers.alerts.beat import LATE_MS, AlertBeat

MINUTE = Schedule(interval_seconds=60)
WORKERS = 8


@pytest.fixture
def submits(client: redis.Redis, settings: Settings) -> AlertSubmits:
    store_retriever(client)
    store_collection(client, [application("alt_a", constant("scheduled"), execution_mode="scheduled")])
    return AlertSubmits(client, settings)


@pytest.fixture
def beat(client: redis.Redis, submits: AlertSubmits) -> AlertBeat:
    return AlertBeat(AlertReader(client), submits)


def now_ms(client: redis.Redis) -> int:
    seconds, microseconds = client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def make_due(client: redis.Redis, member: str = "alt_a", *, ago_ms: int = 0) -> int:
    due_ms = now_ms(client) - ago_ms
    client.zadd(keys.ALERT_DUE, {member: due_ms})
    return due_ms


def store(client: redis.Redis, **over: Any) -> None:
    store_alert(client, "alt_a", inputs={"query": "own"}, schedule=MINUTE, **over)


def test_many_workers_start_what_is_due_once(client: redis.Redis, submits: AlertSubmits) -> None:
    store(client)
    due_ms = make_due(client)
    beats = [AlertBeat(AlertReader(client), submits) for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda each: each.sweep(), beats))
    [run] = runs(client, "alt_a")
    assert (run["mode"], run["due_at"], run["is_late"]) == ("scheduled", iso(due_ms), False)
    assert (run["inputs"], run["collection_id"]) == ({"query": "own"}, "")
    following = client.zscore(keys.ALERT_DUE, "alt_a")
    assert following == next_due_ms(MINUTE, instant_ms(CREATED), due_ms)


def test_of_runs_that_were_missed_one_is_made_up_for_and_late(client: redis.Redis, beat: AlertBeat) -> None:
    store(client)
    due_ms = make_due(client, ago_ms=10 * 60_000)
    for _ in range(3):
        beat.sweep()
    [run] = runs(client, "alt_a")
    assert (run["due_at"], run["is_late"]) == (iso(due_ms), True)
    following = client.zscore(keys.ALERT_DUE, "alt_a")
    assert following is not None
    assert now_ms(client) - 1_000 < following <= now_ms(client) + 60_000


@pytest.mark.parametrize(("ago_ms", "is_late"), [(LATE_MS - 5_000, False), (LATE_MS + 1, True)])
def test_late_is_what_no_worker_was_there_for(
    client: redis.Redis, beat: AlertBeat, ago_ms: int, is_late: bool
) -> None:
    store(client)
    make_due(client, ago_ms=ago_ms)
    beat.sweep()
    assert [run["is_late"] for run in runs(client, "alt_a")] == [is_late]


def test_at_a_collection_it_runs_with_what_is_mapped_there(client: redis.Redis, beat: AlertBeat) -> None:
    store(client)
    make_due(client, f"alt_a/{COLLECTION}")
    beat.sweep()
    [run] = runs(client, "alt_a")
    assert (run["collection_id"], run["inputs"]) == (COLLECTION, {"query": "scheduled"})


def test_what_is_not_due_yet_waits(client: redis.Redis, beat: AlertBeat) -> None:
    store(client)
    make_due(client, ago_ms=-60_000)
    beat.sweep()
    assert runs(client, "alt_a") == []


@pytest.mark.parametrize("gone", ["alert", "enabled", "schedule"])
def test_what_has_no_schedule_any_more_is_forgotten(client: redis.Redis, beat: AlertBeat, gone: str) -> None:
    if gone != "alert":
        store_alert(
            client, "alt_a", enabled=gone != "enabled", schedule=None if gone == "schedule" else MINUTE
        )
    make_due(client)
    beat.sweep()
    assert runs(client, "alt_a") == []
    assert client.zscore(keys.ALERT_DUE, "alt_a") is None


def test_without_its_retriever_it_goes_on_and_runs_when_that_is_back(
    client: redis.Redis, beat: AlertBeat
) -> None:
    store(client)
    client.delete(keys.resource("retriever", RETRIEVER))
    for expected in (0, 1):
        make_due(client)
        beat.sweep()
        assert len(runs(client, "alt_a")) == expected
        store_retriever(client)


def test_with_a_full_queue_it_stays_due(client: redis.Redis, settings: Settings, beat: AlertBeat) -> None:
    store(client)
    due_ms = make_due(client)
    none = AlertSubmits(client, settings.model_copy(update={"queue_max": 0}))
    AlertBeat(AlertReader(client), none).sweep()
    assert client.zscore(keys.ALERT_DUE, "alt_a") == due_ms
    beat.sweep()
    assert len(runs(client, "alt_a")) == 1


def test_one_that_was_taken_meanwhile_is_left_alone(client: redis.Redis, submits: AlertSubmits) -> None:
    due_ms = make_due(client)
    late = DueAlert("alt_a", "", due_ms - 1)
    assert not submits.run_due(late, due_ms + 60_000, None)
    assert client.zscore(keys.ALERT_DUE, "alt_a") == due_ms
