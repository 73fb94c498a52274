"""Classes, turns of namespaces within a class, and limits of one: counted exactly, on a real server."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
import redis

from shared import broker, keys
from shared.models.execution import Claim
from shared.queue_order import queues_in_turn
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import Submit, outcome

NORMAL, BULK, INTERACTIVE = broker.QUEUE_NORMAL, broker.QUEUE_BULK, broker.QUEUE_INTERACTIVE
WINDOW = 32  # messages of a namespace in a queue: shared/lua/queue.lua


def submit_many(submit: Submit, count: int, namespace: str, queue: str = NORMAL) -> list[str]:
    made = [f"exec_{namespace}{queue[-4:]}{number:05d}" for number in range(count)]
    for each in made:
        assert submit(each, namespace=namespace, queue=queue)[0] == b"accepted"
    return made


def first_claim(client: redis.Redis, ledger: Ledger) -> Claim | None:
    """As Celery takes a message: of the queues in order."""
    while (popped := client.lmpop(len(broker.QUEUES), *queues_in_turn(0), direction="RIGHT")) is not None:
        message: bytes = popped[1][0]  # type: ignore[index]
        claim = ledger.claim(message.split(b'"id": "', 1)[1].split(b'"', 1)[0].decode())
        if claim is not None:
            return claim
    return None


def run_all(client: redis.Redis, ledger: Ledger) -> list[str]:
    """Ids in the order in which one worker runs them, each finish claiming the next."""
    order: list[str] = []
    while (claim := first_claim(client, ledger)) is not None:
        while claim is not None:
            order.append(claim.execution_id)
            _, claim = ledger.finish(claim, outcome(), claim_next=True)
    return order


def nothing_is_left(client: redis.Redis) -> bool:
    out = [int(count) for queue in broker.QUEUES for count in client.hvals(f"kennel:out:{queue}")]
    waiting = sum(client.zcard(keys.pending(queue)) + client.llen(queue) for queue in broker.QUEUES)
    return set(out) <= {0} and waiting == 0 and not list(client.scan_iter("kennel:parked:*"))


def test_any_number_in_bulk_do_not_delay_one_that_is_interactive(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit_many(submit, 900, "ns_a", BULK)
    running = first_claim(client, ledger)
    assert running is not None
    submit_many(submit, 1, "ns_b", INTERACTIVE)
    _, following = ledger.finish(running, outcome(), claim_next=True)
    assert following is not None
    assert following.namespace_id == "ns_b"


def test_namespaces_take_turns_within_a_class(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    many = submit_many(submit, 300, "ns_a")
    few = submit_many(submit, 5, "ns_b")
    assert client.llen(NORMAL) == WINDOW + 5
    order = run_all(client, ledger)
    assert sorted(order) == sorted(many + few)
    assert [each for each in order if each in many] == many
    assert [each for each in order if each in few] == few
    assert order.index(few[0]) == WINDOW
    assert nothing_is_left(client)


def test_a_window_is_filled_again_when_half_of_it_is_left_and_nobody_passes_what_is_parked(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    made = submit_many(submit, WINDOW + 20, "ns_a")
    taken = [first_claim(client, ledger) for _ in range(WINDOW // 2 - 1)]
    assert client.llen(NORMAL) == WINDOW // 2 + 1
    assert (
        submit("exec_late", namespace="ns_a")[0] == b"accepted"
    )  # the window has room, but others wait for it
    assert client.llen(NORMAL) == WINDOW // 2 + 1
    taken.append(first_claim(client, ledger))
    assert client.llen(NORMAL) == WINDOW
    order = [claim.execution_id for claim in taken if claim is not None] + run_all(client, ledger)
    assert order == [*made, "exec_late"]


def test_a_lower_class_is_not_kept_waiting_for_ever(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    submit_many(submit, 80, "ns_a", INTERACTIVE)
    bulk = submit_many(submit, 20, "ns_b", BULK)
    order = run_all(client, ledger)
    assert sum(each in bulk for each in order[:81]) == 10  # one of eight looks begins from below


def test_what_is_parked_has_its_place_behind_what_is_sent(client: redis.Redis, submit: Submit) -> None:
    made = submit_many(submit, WINDOW + 3, "ns_a")
    late = submit_many(submit, 1, "ns_b")
    waiting = [each.decode() for each in client.zrange(keys.pending(NORMAL), 0, -1)]
    assert waiting == made[:WINDOW] + late + made[WINDOW:]
    parked = [each.decode() for each in client.zrange(f"kennel:parked:{NORMAL}:ns_a", 0, -1)]
    assert parked == made[WINDOW:]


def test_one_that_is_cancelled_makes_room(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    made = submit_many(submit, WINDOW + 3, "ns_a")
    for each in (made[-1], made[0]):  # parked; sent
        assert ledger.cancel(each, "not wanted") == "cancelled"
    assert run_all(client, ledger) == made[1:-1]
    assert nothing_is_left(client)


def test_parked_ones_are_not_taken_for_lost(client: redis.Redis, ledger: Ledger, submit: Submit) -> None:
    made = submit_many(submit, WINDOW + 10, "ns_a")
    for _ in range(5):
        client.hset(f"kennel:marks:{NORMAL}", "at_ms", 1)
        assert ledger.sweep().sent_again == 0
    assert run_all(client, ledger) == made


def test_lost_messages_are_sent_again_and_the_rest_follows(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    made = submit_many(submit, WINDOW + 10, "ns_a")
    client.delete(NORMAL)
    sent = 0
    for _ in range(4):
        if client.exists(marks := f"kennel:marks:{NORMAL}"):
            client.hset(marks, "at_ms", 1)
        sent += ledger.sweep().sent_again
    assert sent == WINDOW
    assert sorted(run_all(client, ledger)) == sorted(made)
    assert nothing_is_left(client)


class TestLimits:
    def test_a_namespace_runs_as_many_as_it_may(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        client.hset(keys.LIMITS, "ns_a", "3 -")
        made = submit_many(submit, 50, "ns_a")
        running: list[Claim] = []
        while (claim := first_claim(client, ledger)) is not None:
            running.append(claim)
        assert [each.execution_id for each in running] == made[:3]
        ended = []
        while running:
            claim = running.pop(0)
            ended.append(claim.execution_id)
            ledger.finish(claim, outcome(), claim_next=False)
            following = first_claim(client, ledger)
            if following is not None:
                running.append(following)
            assert first_claim(client, ledger) is None
        assert ended == made
        assert nothing_is_left(client)

    def test_whoever_claims_too_many_is_set_aside_in_order(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        made = submit_many(submit, 10, "ns_a")  # all of them sent
        client.hset(keys.LIMITS, "*", "2 -")
        running = [claim for each in made if (claim := ledger.claim(each)) is not None]
        assert [each.execution_id for each in running] == made[:2]
        client.delete(NORMAL)  # those messages were taken
        ledger.sweep()  # which knows what messages look like
        order = []
        for claim in running:
            following: Claim | None = claim
            while following is not None:
                order.append(following.execution_id)
                _, following = ledger.finish(following, outcome(), claim_next=True)
        assert sorted(order) == made
        assert nothing_is_left(client)

    def test_a_limit_that_is_raised_holds_at_the_next_sweep(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        client.hset(keys.LIMITS, "ns_a", "1 -")
        submit_many(submit, 20, "ns_a")
        assert client.llen(NORMAL) == 1
        client.hset(keys.LIMITS, "ns_a", "8 -")
        ledger.sweep()
        assert client.llen(NORMAL) == 8

    def test_an_interactive_one_is_not_behind_the_namespaces_own_bulk(
        self, client: redis.Redis, ledger: Ledger, submit: Submit
    ) -> None:
        client.hset(keys.LIMITS, "ns_a", "1 -")
        submit_many(submit, 5, "ns_a", BULK)
        first = first_claim(client, ledger)
        assert first is not None
        [wanted] = submit_many(submit, 1, "ns_a", INTERACTIVE)
        _, following = ledger.finish(first, outcome(), claim_next=True)
        assert following is not None
        assert following.execution_id == wanted

    def test_a_full_namespace_is_refused_and_others_are_not(
        self, client: redis.Redis, submit: Submit
    ) -> None:
        client.hset(keys.LIMITS, "*", "- 4")
        submit_many(submit, 4, "ns_a")
        assert submit(namespace="ns_a") == [b"namespace_full", 4]
        assert submit(namespace="ns_b")[0] == b"accepted"
        client.hset(keys.LIMITS, "ns_a", "- 5")
        assert submit(namespace="ns_a")[0] == b"accepted"
        assert submit(namespace="ns_a") == [b"namespace_full", 5]

    @pytest.mark.parametrize("seed", range(8))
    def test_none_is_lost_or_doubled_whatever_happens(
        self, client: redis.Redis, ledger: Ledger, submit: Submit, seed: int
    ) -> None:
        rng = random.Random(seed)
        client.hset(keys.LIMITS, mapping={"ns_a": "2 -", "ns_b": "5 -"})
        started: Counter[str] = Counter()
        made: list[str] = []
        running: list[Claim] = []

        def step() -> None:
            match rng.randrange(8):
                case 0 | 1 | 2:
                    namespace, queue = rng.choice("ab"), rng.choice([NORMAL, BULK, INTERACTIVE])
                    made.append(f"exec_{len(made)}")
                    submit(made[-1], namespace=f"ns_{namespace}", queue=queue)
                case 3 | 4 if (claim := first_claim(client, ledger)) is not None:
                    running.append(claim)
                case 5 if running:
                    claim = running.pop(rng.randrange(len(running)))
                    _, following = ledger.finish(claim, outcome(), claim_next=rng.random() < 0.7)
                    started[claim.execution_id] += 1
                    running.extend([following] if following else [])
                case 6 if running:
                    ledger.release(running.pop(), patience_s=0)
                case 7 if made and rng.random() < 0.2:
                    if ledger.cancel(cancelled := rng.choice(made), "not wanted") == "cancelled":
                        started[cancelled] += 1
                case _:
                    ledger.sweep()

        for _ in range(400):
            step()
            by_namespace = Counter(each.namespace_id for each in running)
            assert by_namespace["ns_a"] <= 2
            assert by_namespace["ns_b"] <= 5
        for claim in running:
            ledger.finish(claim, outcome(), claim_next=False)
            started[claim.execution_id] += 1
        ledger.sweep()
        started.update(run_all(client, ledger))
        assert started == Counter(made)
        assert nothing_is_left(client)


def test_kombu_asks_the_queues_in_the_same_order() -> None:
    asked: Sequence[Sequence[str]] = [queues_in_turn(look) for look in range(16)]
    assert [each[0] for each in asked] == ([INTERACTIVE] * 7 + [BULK]) * 2
