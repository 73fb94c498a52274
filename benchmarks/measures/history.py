"""The list of a retriever's executions: a long history beside a short one, and what an ended one takes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import orjson

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.client import Client
from benchmarks.figures import Row, Target, at_most
from benchmarks.finished import Sample, fill_history
from benchmarks.kennel_side import Kennel, detail_after
from benchmarks.retrievers import STAGE_NAMES, Retriever
from benchmarks.servers import QUERY
from shared import ids
from shared.models.execution import ExecutionRequest, Status, figures
from shared.stores.executions import Submission
from shared.stores.ledger import Outcome

_SHORT = 1_000
_REPETITIONS = 30
_GROUP = "list of executions, a history of {:,} beside one of 1,000"
_ENDED = (Status.COMPLETED, Status.COMPLETED, Status.COMPLETED, Status.FAILED, Status.CANCELLED)
# Of what is answered by index, the cost must not grow with the history; the others look at 10,000 at most.
_INDEXED: Mapping[str, dict[str, Any]] = {
    "newest first": {},
    "status": {"status": "failed"},
    "filter of a status": {"filters": {"field": "status", "operator": "eq", "value": "failed"}},
}
_SCANNED: Mapping[str, dict[str, Any]] = {
    "another filter": {"filters": {"field": "credits_used", "operator": "gt", "value": 0.02}},
    "another order": {"sorts": [{"field": "duration_ms", "direction": "desc"}]},
}
_PAGE = "?limit=20"
_MEMORY = Target("value", "≤", 2_048)


def measure(bench: Bench) -> list[Row]:
    kennel = bench.kennel
    short, long = kennel.retrievers.sleep, kennel.retrievers.noop
    fill_history(kennel.redis.client, kennel.settings, _sample(short), _SHORT, _ENDED)
    before = _used_bytes(kennel)
    count = bench.effort.history
    fill_history(kennel.redis.client, kennel.settings, _sample(long), count, _ENDED)
    each_bytes = (_used_bytes(kennel) - before) / count
    group = _GROUP.format(count)
    with contextlib.closing(kennel.client(long.namespace_id)) as client:
        rows = [_compared(client, group, name, body, long, short) for name, body in _INDEXED.items()]
        rows.append(_second_page(client, group, long, short))
        kennel.redis.client.config_set("slowlog-log-slower-than", 500)
        kennel.redis.client.slowlog_reset()
        rows += [_compared(client, group, name, body, long, short) for name, body in _SCANNED.items()]
    return [
        *rows,
        Row(group, "longest Redis command meanwhile (> 0.5)", "ms", [_longest_ms(kennel)]),
        Row(group, "Redis, for each ended execution", "B", [each_bytes], target=_MEMORY),
    ]


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


def _longest_ms(kennel: Kennel) -> float:
    return max((entry["duration"] / 1000 for entry in kennel.redis.client.slowlog_get(128)), default=0.0)


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
