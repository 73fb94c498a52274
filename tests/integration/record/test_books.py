"""The books: whatever happens in whatever order, they say what a walk over all records finds."""

from __future__ import annotations

from collections import Counter

import redis
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from

from shared import broker, keys
from shared.models.books import BooksReading, reading_of
from shared.models.execution import Claim, Status
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.ledger import Ledger, Measurements
from tests.integration.record.conftest import Submit, outcome

NAMESPACES = ("ns_1", "ns_2")
ATTEMPTS_MAX = 2
ENDS = sampled_from(["completed", "degraded", "failed"])


def read(client: redis.Redis, namespace: str = "") -> BooksReading:
    return reading_of(*fcall(client, "read_books", namespace, *broker.QUEUES))


def counts(client: redis.Redis, namespace: str = "") -> dict[str, int]:
    """By status, without the empty ones, as the books have it."""
    books = read(client, namespace).books
    held = {status.value: books.held(status) for status in Status}
    assert books.submitted == sum(held.values())
    return {status: count for status, count in held.items() if count}


def walked(client: redis.Redis, namespace: str = "") -> dict[str, int]:
    """The same, as the records have it."""
    records = [client.hmget(key, "status", "namespace") for key in client.scan_iter("kennel:exec:*")]
    found: Counter[str] = Counter(
        status.decode() for status, owner in records if namespace in ("", owner.decode())
    )
    return dict(found)


class EveryTransition(RuleBasedStateMachine):
    """Submits, claims, ends, losses and repeats of any execution, in any order."""

    client: redis.Redis
    ledger: Ledger
    submit: Submit

    def __init__(self) -> None:
        super().__init__()
        self.client.delete(*self.client.keys("kennel*"))
        self.client.hset("kennel:retriever:ret_1", "version", "1")
        self.client.hset("kennel:collection:col_1", "body", "{}")
        self.client.hset(keys.resource("namespace", "ns_1"), "body", "{}")
        self.ids: list[str] = []
        self.claims: list[Claim] = []

    def _id(self, number: int) -> str:
        return self.ids[number % len(self.ids)] if self.ids else "exec_none"

    def _claim(self, number: int) -> Claim | None:
        return self.claims[number % len(self.claims)] if self.claims else None

    def _keep(self, claim: Claim | None) -> None:
        if claim is not None:
            self.claims.append(claim)

    @rule(namespace=sampled_from(NAMESPACES), key=sampled_from(["", "key"]))
    def new(self, namespace: str, key: str) -> None:
        execution_id = f"exec_{len(self.ids)}"
        reply = self.submit(execution_id, namespace=namespace, idempotency=key, body="same")
        if reply[0] == b"accepted":
            self.ids.append(execution_id)

    @rule(number=integers(0, 20))
    def submit_again(self, number: int) -> None:
        if self.ids:
            self.submit(self._id(number))

    @rule(number=integers(0, 20))
    def claim(self, number: int) -> None:
        self._keep(self.ledger.claim(self._id(number)))

    @rule(number=integers(0, 20))
    def progress(self, number: int) -> None:
        if claim := self._claim(number):
            self.ledger.progress(claim, number, "second", 1, outcome().detail, outcome().figures)

    @rule(number=integers(0, 20), status=ENDS, claim_next=sampled_from([True, False]))
    def finish(self, number: int, status: str, claim_next: bool) -> None:
        if claim := self._claim(number):
            self._keep(self.ledger.finish(claim, outcome(status), claim_next=claim_next)[1])

    @rule(number=integers(0, 20))
    def release(self, number: int) -> None:
        if claim := self._claim(number):
            self.ledger.release(claim, patience_s=0)

    @rule(number=integers(0, 20), delay_ms=sampled_from([0, 60_000]))
    def retry(self, number: int, delay_ms: int) -> None:
        if claim := self._claim(number):
            self.ledger.retry(claim, delay_ms, 1, outcome().detail, outcome().figures)

    @rule(number=integers(0, 20), which=sampled_from(["any", "pending"]))
    def cancel(self, number: int, which: str) -> None:
        fcall(self.client, "cancel", self._id(number), '"no"', 60, 60, 100, which)

    @rule(number=integers(0, 20))
    def lose_a_lease(self, number: int) -> None:
        self.client.zadd(keys.LEASES, {self._id(number): 1}, xx=True)
        self.ledger.sweep()

    @rule()
    def lose_every_message(self) -> None:
        self.client.delete(broker.QUEUE_NORMAL)
        for _ in range(2):
            self.client.hset(f"kennel:marks:{broker.QUEUE_NORMAL}", "at_ms", 1)
            self.ledger.sweep()

    @invariant()
    def the_books_say_what_the_records_say(self) -> None:
        reading = read(self.client)
        assert counts(self.client) == walked(self.client)
        assert reading.is_balanced
        assert reading.books.submitted == len(self.ids)
        for namespace in NAMESPACES:
            assert counts(self.client, namespace) == walked(self.client, namespace)


def test_every_transition_is_booked(client: redis.Redis, settings: Settings, submit: Submit) -> None:
    few_attempts = settings.model_copy(update={"max_attempts": ATTEMPTS_MAX})
    given = {
        "client": client,
        "ledger": Ledger(client, few_attempts, "worker"),
        "submit": staticmethod(submit),
    }
    run_state_machine_as_test(
        type("EveryTransitionHere", (EveryTransition,), given),
        settings=hypothesis_settings(max_examples=25, stateful_step_count=40),
    )


def test_attempts_and_what_was_put_back_are_counted(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit("exec_a")
    for _ in range(3):
        claim = ledger.claim("exec_a")
        assert claim is not None
        ledger.release(claim, patience_s=0)
    books = read(client).books
    assert (books.attempts, books.requeued, books.accepted) == (3, 3, 1)
    assert counts(client) == {"pending": 1}


def test_what_ends_in_a_purged_namespace_opens_no_books_for_it(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    for name in ("exec_a", "exec_b", "exec_c"):
        submit(name)
    claims = [ledger.claim(name) for name in ("exec_a", "exec_b")]
    client.delete(keys.books("ns_1"))
    ledger.cancel("exec_c", "no")
    for claim in claims:
        assert claim is not None
        ledger.finish(claim, outcome(), claim_next=False)
    assert not client.exists(keys.books("ns_1"))
    assert counts(client) == {"completed": 2, "cancelled": 1}


def test_a_claim_says_how_long_it_has_waited(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    record = keys.execution("exec_a")
    client.hincrby(record, "created_ms", -7_000)
    first = fcall(client, "claim", "exec_a", "nonce", "w", 10_000)
    assert 7_000 <= int(first[-3]) < 60_000
    assert fcall(client, "claim", "exec_a", "nonce", "w", 10_000) == first
    claim = ledger.claim("exec_a")
    assert claim is None
    client.zadd(keys.LEASES, {"exec_a": 1})
    ledger.sweep()
    client.hincrby(record, "seq", -3_000_000)
    again = ledger.claim("exec_a")
    assert again is not None
    assert 3_000 <= again.waited_ms < 7_000


def test_measurements_are_added_once_however_often_they_are_sent(
    client: redis.Redis, settings: Settings
) -> None:
    first, second = (Ledger(client, settings, name, f"{name}/machine/1") for name in ("one", "two"))
    packets = [Measurements(token, {"a": 2, "b": 1}) for token in ("t1", "t1", "t2")]
    for packet in packets:
        first.heartbeat([], patience_s=0, measurements=packet)
    second.heartbeat([], patience_s=0, measurements=Measurements("t2", {"a": 10}))
    second.heartbeat([], patience_s=0)
    assert client.hgetall(keys.METRICS) == {b"a": b"14", b"b": b"2"}
    assert 0 < client.ttl("kennel:flushed:one/machine/1") <= 3600


def test_measurements_travel_beside_leases(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    ledger.claim("exec_a")
    client.zadd(keys.LEASES, {"exec_a": 1})
    held = [("exec_a", 1), ("exec_none", 1)]
    measurements = Measurements("t", {"a": 1, "b": 1})
    assert ledger.heartbeat(held, patience_s=0, measurements=measurements) == ["exec_none"]
    assert client.zscore(keys.LEASES, "exec_a") > 1
