"""Evaluations of alerts as records: their history, what they found, when they fire, and whom that tells."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import redis

from shared import broker
from shared.models.alert import Mode
from shared.models.alert_run import AlertRun, Evaluation
from shared.models.execution import Claim
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.delivery_queue import DeliveryQueue
from shared.stores.ledger import Ledger
from shared.vault import Vault
from tests.integration.record.conftest import Submit, outcome
from tests.integration.record.test_deliveries import put, taken, webhook

ALERT = "alt_1"
STATE = f"kennel:alert_state:{ALERT}"
RUN = AlertRun(ALERT, Mode.ON_INGEST, "col_1", ["doc_1"])
FINDING = b'{"triggered":true,"match_count":1,"matches":[]}'


@pytest.fixture
def stored(client: redis.Redis) -> None:
    client.hset(f"kennel:alert:{ALERT}", "body", "{}")


@pytest.fixture
def queue(client: redis.Redis, settings: Settings) -> DeliveryQueue:
    return DeliveryQueue(client, settings, Vault(settings.data_dir))


def begin(ledger: Ledger, submit: Submit, execution_id: str) -> Claim:
    reply = submit(execution_id, alert_id=ALERT, alert=RUN.to_json(), queue=broker.QUEUE_ALERTS)
    assert reply[0] == b"accepted"
    claim = ledger.claim(execution_id)
    assert claim is not None
    return claim


def evaluation(**over: Any) -> Evaluation:
    values: dict[str, Any] = {
        "finding": FINDING,
        "holds": True,
        "kind": "event",
        "source": "col_1",
        "cooldown_s": 0,
        "renotify_s": None,
        "payload": b'{"event_type":"alert.triggered"}',
        "lanes": [(f"{ALERT}/0", 1000)],
        **over,
    }
    return Evaluation(**values)


def end(ledger: Ledger, claim: Claim, **over: Any) -> None:
    written, _ = ledger.finish(claim, outcome(evaluation=evaluation(**over)), claim_next=False)
    assert written


def fired(client: redis.Redis, execution_id: str) -> bool:
    return client.hexists(f"kennel:exec:{execution_id}", "alert_fired") == 1


def evaluate(client: redis.Redis, ledger: Ledger, submit: Submit, number: int, **over: Any) -> bool:
    """Run exec_<number> to its end; whether it fired."""
    execution_id = f"exec_{number}"
    end(ledger, begin(ledger, submit, execution_id), **over)
    return fired(client, execution_id)


@pytest.mark.usefixtures("stored")
class TestRecords:
    def test_a_claim_says_what_it_evaluates(self, ledger: Ledger, submit: Submit) -> None:
        assert begin(ledger, submit, "exec_a").alert == RUN

    def test_other_claims_evaluate_nothing(self, ledger: Ledger, submit: Submit) -> None:
        submit("exec_a")
        claim = ledger.claim("exec_a")
        assert claim is not None
        assert claim.alert is None

    def test_it_stands_in_the_history_of_its_alert_alone(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        claim = begin(ledger, submit, "exec_a")
        asked = ("", "", 0, 10, "-inf", "+inf", 3600)
        running = fcall(client, "history", ALERT, "processing", *asked[1:])
        assert orjson.loads(running[2])["execution_id"] == "exec_a"
        assert fcall(client, "history", "ret_1", "processing", *asked[1:]) == [0]
        end(ledger, claim)
        for owner, count in ((ALERT, 1), ("ret_1", 0)):
            total, *flat = fcall(client, "history", owner, *asked)
            assert (total, len(flat)) == (count, 2 * count)
        total, _, line = fcall(client, "list_alert_runs", "ns_1", "", 0, 10, 3600)
        assert (total, orjson.loads(line)["execution_id"]) == (1, "exec_a")
        assert 0 < client.ttl("kennel:alert_runs:ns_1") <= 3600

    def test_an_ended_one_keeps_alert_and_finding(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        end(ledger, begin(ledger, submit, "exec_a"), holds=False)
        fields = client.hmget("kennel:exec:exec_a", "alert_id", "alert", "alert_result", "alert_fired")
        assert fields == [ALERT.encode(), RUN.to_json(), FINDING, None]
        assert client.ttl("kennel:exec:exec_a") > 0

    def test_the_next_one_may_be_of_another_class(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        claim = begin(ledger, submit, "exec_a")
        submit("exec_bulk", queue=broker.QUEUE_BULK)
        submit("exec_b", alert_id=ALERT, alert=RUN.to_json(), queue=broker.QUEUE_ALERTS)
        _, following = ledger.finish(claim, outcome(evaluation=evaluation()), claim_next=True)
        assert following is not None
        assert following.execution_id == "exec_b"


@pytest.mark.usefixtures("stored")
class TestEvents:
    def test_each_that_holds_fires(self, client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
        holds = [True, True, False, True]
        found = [evaluate(client, ledger, submit, number, holds=each) for number, each in enumerate(holds)]
        assert found == holds
        assert client.hkeys(STATE) == [b"last_fired_ms"]

    def test_none_fires_within_the_cooldown(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        assert evaluate(client, ledger, submit, 1, cooldown_s=60)
        assert not evaluate(client, ledger, submit, 2, cooldown_s=60)
        client.hincrby(STATE, "last_fired_ms", -60_000)
        assert evaluate(client, ledger, submit, 3, cooldown_s=60)

    def test_an_alert_that_is_disabled_or_gone_tells_nobody(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        assert not evaluate(client, ledger, submit, 1, kind="silent")
        client.delete(f"kennel:alert:{ALERT}")
        assert not evaluate(client, ledger, submit, 2)
        assert client.exists(STATE, "kennel:lanes") == 0


@pytest.mark.usefixtures("stored")
class TestLevels:
    def test_a_rise_fires_once(self, client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
        holds = [True, True, False, False, True, True]
        found = [
            evaluate(client, ledger, submit, number, holds=each, kind="level")
            for number, each in enumerate(holds)
        ]
        assert found == [True, False, False, False, True, False]

    def test_it_fires_again_after_the_renotify_interval(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        over: dict[str, Any] = {"kind": "level", "renotify_s": 60}
        assert evaluate(client, ledger, submit, 1, **over)
        assert not evaluate(client, ledger, submit, 2, **over)
        client.hincrby(STATE, "told:col_1", -60_000)
        assert evaluate(client, ledger, submit, 3, **over)
        assert not evaluate(client, ledger, submit, 4, **over)

    def test_a_rise_within_a_cooldown_is_told_after_it(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        over: dict[str, Any] = {"kind": "level", "cooldown_s": 60}
        assert evaluate(client, ledger, submit, 1, **over)
        assert not evaluate(client, ledger, submit, 2, **over, holds=False)
        assert not evaluate(client, ledger, submit, 3, **over)
        client.hincrby(STATE, "last_fired_ms", -60_000)
        assert evaluate(client, ledger, submit, 4, **over)
        assert not evaluate(client, ledger, submit, 5, **over)

    def test_each_place_has_a_level_of_its_own(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        def places() -> set[bytes]:
            return {field for field in client.hkeys(STATE) if field.startswith(b"true:")}

        assert evaluate(client, ledger, submit, 1, kind="level", source="col_1")
        assert not evaluate(client, ledger, submit, 2, kind="level", source="col_2", holds=False)
        assert not evaluate(client, ledger, submit, 3, kind="level", source="col_1")
        assert evaluate(client, ledger, submit, 4, kind="level", source="")
        assert places() == {b"true:col_1", b"true:"}
        for number, source in enumerate(("col_1", ""), 5):
            evaluate(client, ledger, submit, number, kind="level", source=source, holds=False)
        assert places() == set()


@pytest.mark.usefixtures("stored")
class TestTelling:
    def test_a_fire_is_delivered_to_each_channel_and_to_the_webhooks_under_one_id(
        self, client: redis.Redis, ledger: Ledger, submit: Submit, queue: DeliveryQueue
    ) -> None:
        put(client, webhook(event_types=("alert.triggered",)))
        claim = begin(ledger, submit, "exec_a")
        end(ledger, claim, lanes=[(f"{ALERT}/0", 1000), (f"{ALERT}/1", 2000)])
        found = [taken(queue) for _ in range(3)]
        assert {each.event_id for each in found} == {"evt_a"}
        assert sorted((str(each.lane), each.timeout_s) for each in found) == [
            ("alt_1/0", 1),
            ("alt_1/1", 2),
            ("wh_0123456789abcdef/0", 10),
        ]
        assert {each.payload for each in found} == {b'{"event_type":"alert.triggered"}'}
        assert queue.take() is None

    def test_a_repeated_finish_tells_nothing_more(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        claim = begin(ledger, submit, "exec_a")
        for _ in range(2):
            end(ledger, claim)
        assert client.zcard(f"kennel:deliveries:{ALERT}") == 1

    def test_a_run_that_lost_its_lease_tells_nothing(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        claim = begin(ledger, submit, "exec_a")
        assert ledger.release(claim, patience_s=0)
        assert ledger.finish(claim, outcome(evaluation=evaluation()), claim_next=False) == (False, None)
        assert client.exists(STATE, f"kennel:deliveries:{ALERT}") == 0

    @pytest.mark.parametrize(
        ("status", "event_type"),
        [("completed", "alert.execution.completed"), ("failed", "alert.execution.failed")],
    )
    def test_its_end_is_an_event_of_the_alert(
        self,
        client: redis.Redis,
        ledger: Ledger,
        submit: Submit,
        queue: DeliveryQueue,
        status: str,
        event_type: str,
    ) -> None:
        put(client, webhook(event_types=(event_type, "resource.executed", "alert.triggered")))
        ledger.finish(begin(ledger, submit, "exec_a"), outcome(status), claim_next=False)
        found = taken(queue)
        payload = orjson.loads(found.payload)
        assert (found.event_id, found.event_type) == ("evt_a_end", event_type)
        assert (payload["resource_type"], payload["resource_id"]) == ("alert", ALERT)
        assert queue.take() is None
