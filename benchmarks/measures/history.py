"""The list of a retriever's executions: a long history beside a short one, and what an ended one takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import orjson
import redis

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.client import Client
from benchmarks.figures import Row, Target, at_most
from benchmarks.finished import Sample, fill_history, submit_copies
from benchmarks.kennel_side import Kennel, detail_after
from benchmarks.retrievers import STAGE_NAMES, Retriever
from benchmarks.servers import QUERY
from shared import broker, ids, keys
from shared.models.execution import ExecutionRequest, Status, figures
from shared.stores.executions import Submission
from shared.stores.ledger import Ledger, Outcome

_SHORT = 1_000
_REPETITIONS = 30
_GROUP = "list of executions, a history of {:,} beside one of 1,000"
_ENDED = (*[Status.COMPLETED] * 6, Status.DEGRADED, Status.FAILED, Status.CANCELLED)
_CONDITION = {"field": "credits_used", "operator": "gt", "value": 0.02}
# Of what is answered by index, the cost must not grow with the history; the others look at 10,000 at most.
_INDEXED: Mapping[str, dict[str, Any]] = {
    "newest first": {},
    **{f"status {each}": {"status": each} for each in Status},
    "filter of a status": {"filters": {"field": "status", "operator": "eq", "value": "failed"}},
    "1,000 lines": {"limit": 1_000},
}
_SCANNED: Mapping[str, dict[str, Any]] = {
    "another filter": {"filters": _CONDITION},
    "another filter, of a status": {"status": "completed", "filters": _CONDITION},
    "another order": {"sorts": [{"field": "duration_ms", "direction": "desc"}]},
}
_PENDING = 20  # and as many that run
_NOTED_US = 500
_MEASURED = 500  # executions whose keys are asked for their size
_PAGE = "?limit=20"
_MEMORY = Target("value", "≤", 2_048)


def measure(bench: Bench) -> list[Row]:
    kennel = bench.kennel
    short, long = kennel.retrievers.sleep, kennel.retrievers.noop
    fill_history(kennel.redis.client, kennel.settings, _sample(short), _SHORT, _ENDED)
    before = _used_bytes(kennel)
    count = bench.effort.history
    made = list(fill_history(kennel.redis.client, kennel.settings, _sample(long), count, _ENDED))
    each_bytes = (_used_bytes(kennel) - before) / count
    _open(kennel, (short, long))
    group = _GROUP.format(count)
    with contextlib.closing(kennel.client(long.namespace_id)) as client:
        _note_from_now(kennel)
        rows = [_compared(client, group, name, body, long, short) for name, body in _INDEXED.items()]
        rows.append(_second_page(client, group, long, short))
        rows.append(Row(group, "longest Redis command of these", "ms", [_longest_ms(kennel)]))
        _note_from_now(kennel)
        rows += [_compared(client, group, name, body, long, short) for name, body in _SCANNED.items()]
        rows.append(Row(group, "longest Redis command of these", "ms", [_longest_ms(kennel)]))
        for name, body in _SCANNED.items():
            print(f"\n  {name}: {_listing(client, long, body)()['warnings']}", end=" ")
    return [*rows, *_memory(kennel.redis.client, long, made, each_bytes)]


def _open(kennel: Kennel, retrievers: Sequence[Retriever]) -> None:
    """Some that run and some that wait; nobody sweeps, so they stay as they are."""
    ledger = Ledger(kennel.redis.client, kennel.settings, "bench")
    for retriever in retrievers:
        made = [ids.execution_id() for _ in range(2 * _PENDING)]
        asyncio.run(submit_copies(kennel.settings, _sample(retriever), made))
        for each in made[:_PENDING]:
            ledger.claim(each)
    kennel.redis.client.delete(broker.QUEUE_NORMAL)


def _compared(
    client: Client, group: str, name: str, body: dict[str, Any], long: Retriever, short: Retriever
) -> Row:
    timed = {each: Timed(_listing(client, each, body)) for each in (long, short)}
    for each in in_turns(_REPETITIONS, list(timed.values())):
        each.take()
    target = at_most(3) if name in _INDEXED else None
    return Row(group, name, "ms", timed[long].taken_ms, timed[short].taken_ms, target)


def _second_page(client: Client, group: str, long: Retriever, short: Retriever) -> Row:
    timed = {}
    for each in (long, short):
        first = client.call("POST", f"{each.path}/executions/list{_PAGE}", {})
        cursor = first["pagination"]["next_cursor"]
        timed[each] = Timed(_listing(client, each, {}, f"&cursor={cursor}"))
    for each_time in in_turns(_REPETITIONS, list(timed.values())):
        each_time.take()
    return Row(group, "second page", "ms", timed[long].taken_ms, timed[short].taken_ms, at_most(3))


def _listing(client: Client, retriever: Retriever, body: dict[str, Any], more: str = "") -> Any:
    return lambda: client.call("POST", f"{retriever.path}/executions/list{_PAGE}{more}", body)


def _note_from_now(kennel: Kennel) -> None:
    kennel.redis.client.config_set("slowlog-log-slower-than", _NOTED_US)
    kennel.redis.client.slowlog_reset()


def _longest_ms(kennel: Kennel) -> float:
    """Of the last commands that took longer than `_NOTED_US`; that, when none did."""
    noted = [entry["duration"] for entry in kennel.redis.client.slowlog_get(128)]
    return max(noted, default=_NOTED_US) / 1_000


def _memory(client: redis.Redis, retriever: Retriever, made: Sequence[str], each_bytes: float) -> list[Row]:
    """Every key of some of them, by MEMORY USAGE; and the growth of the server's data by one."""
    some = made[:: max(1, len(made) // _MEASURED)]
    lists = [keys.history(retriever.retriever_id, each) for each in (None, *dict.fromkeys(_ENDED))]
    parts = {
        "record": _bytes(client, [keys.execution(each) for each in some]) / len(some),
        "summary": _bytes(client, [keys.summary(each) for each in some]) / len(some),
        "places in the lists": _bytes(client, lists) / len(made),
    }
    group = "Redis, for each ended execution, without documents"
    return [
        *(Row(group, name, "B", [size]) for name, size in parts.items()),
        Row(group, "sum of these", "B", [sum(parts.values())], target=_MEMORY),
        Row(group, "growth of the data", "B", [each_bytes], target=_MEMORY),
    ]


def _bytes(client: redis.Redis, names: Sequence[str]) -> int:
    """Of these keys together, every element counted."""
    return sum(int(cast(int | None, client.memory_usage(each, samples=0)) or 0) for each in names)


def _used_bytes(kennel: Kennel) -> int:
    memory: Mapping[str, int] = kennel.redis.client.info("memory")
    return memory["used_memory_dataset"]


def _sample(retriever: Retriever) -> Sample:
    """Three no-op stages without a document, asked with inputs of about 200 bytes."""
    execution_id = ids.execution_id()
    inputs_hash = "a" * 40
    head = {
        "execution_id": execution_id,
        "retriever_id": retriever.retriever_id,
        "retriever_name": "noop",
        "execution_mode": "retriever",
        "total_stages": len(STAGE_NAMES),
        "inputs_hash": inputs_hash,
    }
    about = {"inputs_hash": inputs_hash, "query_summary": QUERY}
    submission = Submission(
        execution_id,
        retriever.namespace_id,
        retriever.retriever_id,
        1,
        ExecutionRequest({"query": QUERY}, []).to_json(),
        orjson.dumps(head)[:-1],
        detail_after(0),
        orjson.dumps(STAGE_NAMES[0]),
        b"noop",
        figures(),
        orjson.dumps(about)[1:-1],
        [],
    )
    profile = orjson.dumps({name: [0, 0, 0.125] for name in STAGE_NAMES})
    last = len(STAGE_NAMES)
    return Sample(
        submission,
        Outcome("completed", None, last, detail_after(last), figures(credits_used=0.03), (), profile),
    )
