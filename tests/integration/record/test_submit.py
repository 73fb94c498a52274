"""Submit: all or nothing, once per id and once per idempotency key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import redis

from shared.broker import QUEUE_NORMAL
from shared.stores.ledger import Ledger
from tests.integration.record.conftest import RETRIEVER, Submit, answer, outcome


def test_accepted_is_a_record_a_message_and_a_line_of_history(client: redis.Redis, submit: Submit) -> None:
    assert submit("exec_a")[0] == b"accepted"
    seen = orjson.loads(answer(client, "exec_a"))
    assert (seen["status"], seen["attempt"], seen["current_stage"], seen["error"]) == (
        "pending",
        0,
        None,
        None,
    )
    message = orjson.loads(client.lindex(QUEUE_NORMAL, 0))
    assert message["headers"]["id"] == "exec_a"
    assert message["headers"]["shadow"] == "books@ns_1"
    assert message["headers"]["seq"] == int(client.zscore(f"kennel:pending:{QUEUE_NORMAL}", "exec_a"))
    assert client.zrange(f"kennel:hist:{RETRIEVER}", 0, -1) == [b"exec_a"]


def test_the_same_id_again_changes_nothing(client: redis.Redis, submit: Submit) -> None:
    first = submit("exec_a")
    assert submit("exec_a")[:4] == first[:4]  # behind them is its position in the queue, told once
    assert client.llen(QUEUE_NORMAL) == 1


def test_one_execution_per_idempotency_key_and_body(client: redis.Redis, submit: Submit) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: submit(idempotency="key", body="body"), range(100)))
    words = [reply[0] for reply in replies]
    assert words.count(b"accepted") == 1
    assert words.count(b"replayed") == 99
    assert client.llen(QUEUE_NORMAL) == 1


def test_an_idempotency_key_with_another_body_is_a_mismatch(submit: Submit) -> None:
    submit("exec_a", idempotency="key", body="one")
    assert submit(idempotency="key", body="two") == [b"mismatch", b"exec_a"]


def test_a_full_queue_refuses_exactly_what_is_over(client: redis.Redis, submit: Submit) -> None:
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda _: submit(queue_max=5), range(50)))
    assert sum(reply[0] == b"accepted" for reply in replies) == 5
    assert client.llen(QUEUE_NORMAL) == 5


def test_a_refused_submit_stores_nothing(client: redis.Redis, submit: Submit) -> None:
    before = client.dbsize()
    refusals: list[dict[str, Any]] = [
        {"version": "2"},
        {"retriever": "ret_gone"},
        {"collections": ["col_1", "col_gone"]},
        {"queue_max": 0},
    ]
    words = [submit(idempotency="key", **refusal)[0] for refusal in refusals]
    assert words == [b"stale", b"stale", b"no_collection", b"full"]
    assert client.dbsize() == before


def test_sequence_numbers_grow_even_if_the_clock_goes_back(client: redis.Redis, submit: Submit) -> None:
    client.set("kennel:seq", "9" * 15)
    future = 8_000_000_000_000_000
    client.set("kennel:seq", future)
    submit("exec_a")
    submit("exec_b")
    marks = [int(client.hget(f"kennel:exec:{name}", "seq")) for name in ("exec_a", "exec_b")]
    assert marks == [future + 1, future + 2]


# Ad-hoc: the definition comes along


def test_an_adhoc_execution_keeps_its_definition_until_it_ends(
    client: redis.Redis, ledger: Ledger, submit: Submit
) -> None:
    client.hset("kennel:namespace:ns_1", "body", "{}")
    submit("exec_a", retriever="adhoc_ns_1", version="12345", definition='{"stages":[]}')
    claim = ledger.claim("exec_a")
    assert claim is not None
    assert (claim.retriever_id, claim.version, claim.definition) == ("adhoc_ns_1", 12345, b'{"stages":[]}')
    ledger.release(claim, patience_s=0)
    again = ledger.claim("exec_a")
    assert again is not None and again.definition == claim.definition
    ledger.finish(again, outcome(), claim_next=False)
    assert not client.hexists("kennel:exec:exec_a", "definition")
    assert client.zrange("kennel:hist:adhoc_ns_1:completed", 0, -1) == [b"exec_a"]


def test_an_adhoc_execution_needs_its_namespace(client: redis.Redis, submit: Submit) -> None:
    before = client.dbsize()
    assert submit(retriever="adhoc_ns_1", definition="{}") == [b"stale"]
    assert client.dbsize() == before


def test_a_claim_of_a_retrievers_execution_has_no_definition(ledger: Ledger, submit: Submit) -> None:
    submit("exec_a")
    claim = ledger.claim("exec_a")
    assert claim is not None and claim.definition == b""
