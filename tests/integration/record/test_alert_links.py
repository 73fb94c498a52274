"""What uses what, and what is due: both change in one call with the resources that say so."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from shared import keys
from shared.redis_sync import fcall

ALERT, OTHER = "alt_1", "alt_2"
HOURLY = '{"interval_seconds":3600}'
EVENT = ("evt_1", "alert.created", "{}")


def names(kind: str, resource_id: str) -> tuple[str, str, str]:
    return (
        keys.resource(kind, resource_id),
        keys.resource_names(kind, "ns_1"),
        keys.resource_ids(kind, "ns_1"),
    )


def create(client: redis.Redis, kind: str, resource_id: str, *links: Any) -> Any:
    fixed = ("", resource_id, f"name of {resource_id}", 1, "{}", 1, "", "", 100)
    return fcall(client, f"create_{kind}", *names(kind, resource_id), *fixed, *links)


def update(client: redis.Redis, kind: str, resource_id: str, version: int, *links: Any) -> Any:
    name = f"name of {resource_id}"
    fixed = (resource_id, name, name, version, f'{{"version":{version}}}', "", "", "", 0)
    return fcall(client, f"update_{kind}", *names(kind, resource_id)[:2], *fixed, *links)


def delete(client: redis.Redis, kind: str, resource_id: str, *more: Any, even_used: str = "") -> Any:
    fixed = (resource_id, f"name of {resource_id}", even_used, 60)
    return fcall(client, f"delete_{kind}", *names(kind, resource_id), *fixed, *more)


def due(client: redis.Redis) -> dict[str, float]:
    found = client.zrange(keys.ALERT_DUE, 0, -1, withscores=True)
    return {member.decode(): score for member, score in found}


@pytest.fixture
def alert(client: redis.Redis) -> None:
    """Runs ret_1 every hour."""
    assert create(client, "alert", ALERT, "ret_1", HOURLY, 1000, *EVENT) == [b"created"]


@pytest.mark.usefixtures("alert")
class TestUsers:
    def test_a_retriever_stays_while_an_alert_runs_it(self, client: redis.Redis) -> None:
        assert delete(client, "retriever", "ret_1") == [b"used", ALERT.encode()]
        assert client.exists(keys.resource("retriever", "ret_1")) == 1
        assert delete(client, "alert", ALERT, 10, "ns_1", *EVENT) == [b"deleted"]
        assert delete(client, "retriever", "ret_1") == [b"deleted"]
        assert client.exists(keys.resource("retriever", "ret_1"), "kennel:alerts_of:ret_1") == 0

    def test_a_change_moves_an_alert_to_its_new_retriever(self, client: redis.Redis) -> None:
        client.hset(keys.resource("retriever", "ret_2"), "version", "1")
        for _ in range(2):  # the answer to the first was lost
            assert update(client, "alert", ALERT, 1, "ret_2", HOURLY, 5, *EVENT) == [b"updated"]
        assert delete(client, "retriever", "ret_1") == [b"deleted"]
        assert delete(client, "retriever", "ret_2") == [b"used", ALERT.encode()]
        assert delete(client, "retriever", "ret_2", even_used="1") == [b"deleted"]

    def test_nothing_is_linked_to_what_is_gone(self, client: redis.Redis) -> None:
        assert create(client, "alert", OTHER, "ret_9", "", 0, *EVENT) == [b"unlinked", b"ret_9"]
        assert update(client, "alert", ALERT, 1, "ret_9", "", 0, *EVENT) == [b"unlinked", b"ret_9"]
        assert create(client, "collection", "col_9", "alt_9", 0) == [b"unlinked", b"alt_9"]
        assert create(client, "collection", "col_8", ALERT, 0) == [b"created"]
        assert update(client, "collection", "col_8", 1, "alt_9", 0) == [b"unlinked", b"alt_9"]
        assert client.exists(keys.resource("alert", OTHER), keys.resource("collection", "col_9")) == 0

    def test_an_alert_stays_while_it_is_attached(self, client: redis.Redis) -> None:
        create(client, "collection", "col_8", ALERT, 0)
        assert fcall(client, "attached", ALERT) == [b"col_8", b"0"]
        assert delete(client, "alert", ALERT, 10, "ns_1", *EVENT) == [b"used", b"col_8"]
        assert delete(client, "collection", "col_8") == [b"deleted"]
        assert fcall(client, "attached", ALERT) == []
        assert delete(client, "alert", ALERT, 10, "ns_1", *EVENT) == [b"deleted"]

    def test_a_deleted_alert_leaves_nothing_but_its_fading_history(self, client: redis.Redis) -> None:
        client.zadd(keys.history(ALERT), {"exec_1": 1})
        client.zadd("kennel:alert_runs:ns_1", {"exec_1": 1, "exec_2": 2})
        client.expire("kennel:alert_runs:ns_1", 100)
        client.hset(f"kennel:alert_state:{ALERT}", "last_fired_ms", "1")
        fcall(client, "deliver", "evt_1", "alert.triggered", "{}", f"{ALERT}/0", 1000)
        for _ in range(2):
            assert delete(client, "alert", ALERT, 10, "ns_1", *EVENT) == [b"deleted"]
        left = {name.decode() for name in client.scan_iter(f"*{ALERT}*")}
        assert left == {keys.history(ALERT), f"kennel:delivery:dlv_1_{ALERT}_0"}
        assert 0 < client.ttl(keys.history(ALERT)) <= 60
        assert client.zrange("kennel:alert_runs:ns_1", 0, -1) == [b"exec_2"]
        assert 0 < client.ttl("kennel:alert_runs:ns_1") <= 100
        assert due(client) == {}
        assert client.zcard("kennel:lanes") == 0


@pytest.mark.usefixtures("alert")
class TestDue:
    def test_an_alert_is_due_as_its_schedule_says(self, client: redis.Redis) -> None:
        assert due(client) == {ALERT: 1000}
        create(client, "alert", OTHER, "ret_1", "", 0, *EVENT)
        assert due(client) == {ALERT: 1000}

    def test_what_is_due_stays_so_under_the_same_schedule(self, client: redis.Redis) -> None:
        update(client, "alert", ALERT, 1, "ret_1", HOURLY, 9000, *EVENT)
        assert due(client) == {ALERT: 1000}
        update(client, "alert", ALERT, 2, "ret_1", '{"interval_seconds":60}', 9000, *EVENT)
        assert due(client) == {ALERT: 9000}
        update(client, "alert", ALERT, 3, "ret_1", "", 0, *EVENT)
        assert due(client) == {}
        update(client, "alert", ALERT, 4, "ret_1", HOURLY, 7000, *EVENT)
        assert due(client) == {ALERT: 7000}

    def test_scheduled_attachments_are_due_in_place_of_the_alert_itself(self, client: redis.Redis) -> None:
        create(client, "collection", "col_7", ALERT, 0)
        assert due(client) == {ALERT: 1000}
        create(client, "collection", "col_8", ALERT, 1)
        assert due(client) == {f"{ALERT}/col_8": 1000}
        update(client, "collection", "col_7", 1, ALERT, 1)
        assert due(client) == {f"{ALERT}/col_7": 1000, f"{ALERT}/col_8": 1000}
        update(client, "alert", ALERT, 1, "ret_1", '{"interval_seconds":60}', 9000, *EVENT)
        assert due(client) == {f"{ALERT}/col_7": 9000, f"{ALERT}/col_8": 9000}
        update(client, "collection", "col_7", 2)
        delete(client, "collection", "col_8")
        assert due(client) == {ALERT: 9000}

    def test_an_alert_without_a_schedule_is_never_due(self, client: redis.Redis) -> None:
        create(client, "alert", OTHER, "", "", 0, *EVENT)
        create(client, "collection", "col_8", OTHER, 1)
        assert due(client) == {ALERT: 1000}
        update(client, "alert", OTHER, 1, "", HOURLY, 5000, *EVENT)
        assert due(client) == {ALERT: 1000, f"{OTHER}/col_8": 5000}


class TestEvents:
    def test_each_change_is_told_once_to_the_webhooks_that_want_it(self, client: redis.Redis) -> None:
        client.hset("kennel:subscribers:alert.created", "wh_1/0", "1000")
        for _ in range(2):  # the answer to the first was lost
            create(client, "alert", ALERT, "ret_1", "", 0, *EVENT)
        delete(client, "alert", ALERT, 10, "ns_1", "evt_2", "alert.deleted", "{}")
        assert [each.decode() for each in client.zrange("kennel:deliveries:wh_1", 0, -1)] == ["dlv_1_wh_1_0"]
