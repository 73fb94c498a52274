"""Lists of executions over a short and a long history: cost of a call, what Redis does for it, memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from benchmarks.bench import Bench, Timed, in_turns
from benchmarks.client import Client
from benchmarks.figures import Row, Target, at_most
from benchmarks.finished import Sample, fill_history, submit_copies
from benchmarks.kennel_side import Kennel
from benchmarks.measures.latency import must_be_done
from benchmarks.processes import wait_for
from benchmarks.retrievers import Retriever, make_noop
from benchmarks.servers import QUERY, START_S
from shared import broker, ids, keys
from shared.models.execution import Status
from shared.packing import unpacked
from shared.stores.executions import Submission
from shared.stores.ledger import Ledger, Outcome

SHORT = 1_000
_ENDS = (*[Status.COMPLETED] * 7, Status.DEGRADED, Status.FAILED, Status.CANCELLED)
_OPEN = 20  # executions that wait, and as many that run
_BYTES_MAX = 2_048
_MEASURED = 500  # executions whose keys are asked for their size
_NOTED_US = 100  # a function that takes less is shown as this
_CONDITION = {"field": "total_processed", "operator": "lt", "value": 1}
_SORT = {"field": "query_summary", "direction": "asc"}


@dataclass(frozen=True, slots=True)
class _List:
    """A list to ask for; `target` bounds its cost over the long history by that over the short one."""

    name: str
    body: Mapping[str, Any]
    target: Target | None = None
    second_page: bool = False


_LISTS = [
    _List("default order", {}, at_most(3)),
    *(_List(f"status {status}", {"status": status}, at_most(3)) for status in Status),
    _List("status by a filter tree", {"filters": {"status": "completed"}}, at_most(3)),
    _List("second page by its cursor", {"status": "completed"}, at_most(3), second_page=True),
    _List("1,000 lines", {"limit": 1_000}, at_most(3)),
    _List("behind 10,000", {"status": "completed", "offset": 10_000}),
    _List("another filter", {"filters": _CONDITION}),
    _List("another filter, of one status", {"status": "failed", "filters": _CONDITION}),
    _List("another order", {"sorts": [_SORT]}),
]


class _History:
    """A retriever with executions, and the lists asked of it."""

    def __init__(self, client: Client, retriever: Retriever) -> None:
        self._client = client
        self._path = f"{retriever.path}/executions/list"

    def asked(self, each: _List) -> tuple[str, Mapping[str, Any]]:
        """Path and body of the call."""
        if not each.second_page:
            return self._path, each.body
        cursor = self.answer(self._path, each.body)["pagination"]["next_cursor"]
        return f"{self._path}?cursor={cursor}", each.body

    def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._client.call("POST", path, body)

    def timed(self, each: _List) -> Timed:
        path, body = self.asked(each)
        return Timed(lambda: self.answer(path, body))


def measure(bench: Bench) -> list[Row]:
    """No worker runs while lists are asked for."""
    kennel, count = bench.kennel, bench.effort.history
    namespace_id = kennel.retrievers.noop.namespace_id
    with contextlib.closing(kennel.client(namespace_id)) as client:
        short, long = (make_noop(client, namespace_id, f"history-{each}") for each in ("short", "long"))
        sample = _sample(kennel, client, short)
    server = kennel.redis.client
    _fill(kennel, short, sample, SHORT)
    used_before = _used_bytes(server)
    made = _fill(kennel, long, sample, count)
    used = (_used_bytes(server) - used_before) / count
    _open(kennel, [short, long], sample)
    with contextlib.closing(kennel.client(namespace_id)) as client:
        histories = _History(client, short), _History(client, long)
        rows = _costs(bench, histories, count) + _commands(server, histories, count)
    return rows + _memory(server, long, made, used)


def _sample(kennel: Kennel, client: Client, retriever: Retriever) -> Sample:
    """A real execution: what the API stored it with, and what its worker wrote at the end."""
    path = f"{retriever.path}/execute"
    execution_id = client.call("POST", path, {"inputs": {"query": QUERY}})["execution_id"]
    before = _record(kennel.redis.client, execution_id)
    with kennel.worker() as worker:
        wait_for(
            lambda: client.call("GET", "/v1/health")["workers_online"], worker, START_S, "a worker online"
        )
        poll = f"{retriever.path}/executions/{execution_id}"
        must_be_done(client.call("GET", poll, **{"Prefer": "wait=20"}))
    after = _record(kennel.redis.client, execution_id)
    submission = Submission(
        execution_id=execution_id,
        namespace_id=retriever.namespace_id,
        retriever_id=retriever.retriever_id,
        version=int(before["version"]),
        request=before["request"],
        head=before["head"],
        detail=unpacked(before["detail"]),
        first_stage=before["first_stage"],
        shadow=before["shadow"],
        figures=before["figures"],
        about=before["about"],
        collection_ids=[],
    )
    detail = unpacked(after["detail"])
    _, _, profile = after["profile"].partition(b" ")  # behind the version
    outcome = Outcome(Status.COMPLETED, None, 3, detail, before["figures"], profile=profile)
    return Sample(submission, outcome)


def _record(client: redis.Redis, execution_id: str) -> dict[str, bytes]:
    fields = cast(dict[bytes, bytes], client.hgetall(keys.execution(execution_id)))
    return {name.decode(): value for name, value in fields.items()}


def _fill(kennel: Kennel, retriever: Retriever, sample: Sample, count: int) -> list[str]:
    of_retriever = sample.of(retriever.retriever_id)
    return list(fill_history(kennel.redis.client, kennel.settings, of_retriever, count, _ENDS))


def _open(kennel: Kennel, retrievers: Sequence[Retriever], sample: Sample) -> None:
    """Some that run and some that wait; nobody sweeps, so they stay as they are."""
    ledger = Ledger(kennel.redis.client, kennel.settings, "bench")
    for retriever in retrievers:
        made = [ids.execution_id() for _ in range(2 * _OPEN)]
        asyncio.run(submit_copies(kennel.settings, sample.of(retriever.retriever_id), made))
        for each in made[:_OPEN]:
            ledger.claim(each)
    kennel.redis.client.delete(broker.QUEUE_NORMAL)


def _costs(bench: Bench, histories: tuple[_History, _History], count: int) -> list[Row]:
    group = f"list of executions: {count:,} beside {SHORT:,} in the history"
    rows = []
    for each in _LISTS:
        long, short = histories[1].timed(each), histories[0].timed(each)
        for timed in (long, short):
            timed.act()
        for timed in in_turns(bench.effort.repetitions, [long, short]):
            timed.take()
        rows.append(Row(group, each.name, "ms", long.taken_ms, short.taken_ms, each.target))
    return rows


def _commands(client: redis.Redis, histories: tuple[_History, _History], count: int) -> list[Row]:
    """What the server itself counts: functions called, and the longest of them."""
    group = f"Redis, for one call over {count:,} beside {SHORT:,}"
    rows: list[Row] = []
    client.config_set("slowlog-log-slower-than", _NOTED_US)
    for each in _LISTS:
        (long, longest_ms, warnings), (short, _, _) = (
            _watched(client, history, each) for history in histories[::-1]
        )
        rows += [
            Row(group, f"{each.name}: calls", "", [long], [short]),
            Row(group, f"{each.name}: longest", "ms", [longest_ms]),
        ]
        for warning in warnings:
            print(f"\n  {each.name}: {warning}", end=" ")
    return rows


def _watched(client: redis.Redis, history: _History, each: _List) -> tuple[int, float, Sequence[str]]:
    """(functions called, the longest of them in ms, warnings of the answer) of one call.

    What the server did not note took less than `_NOTED_US`.
    """
    path, body = history.asked(each)
    client.config_resetstat()
    client.slowlog_reset()
    answer = history.answer(path, body)
    calls = client.info("commandstats")["cmdstat_fcall"]["calls"]
    noted = [entry["duration"] for entry in client.slowlog_get(128) if entry["command"].startswith(b"FCALL")]
    return calls, max(noted, default=_NOTED_US) / 1_000, answer["warnings"]


def _memory(client: redis.Redis, retriever: Retriever, made: Sequence[str], used_bytes: float) -> list[Row]:
    group = "memory of an ended execution that has no documents"
    some = made[:: max(1, len(made) // _MEASURED)]
    lists = [keys.history(retriever.retriever_id, each) for each in (None, *dict.fromkeys(_ENDS))]
    parts = {
        "record": _mean_bytes(client, [keys.execution(each) for each in some]),
        "summary": _mean_bytes(client, [keys.summary(each) for each in some]),
        "its places in the lists": sum(_bytes(client, each) for each in lists) / len(made),
    }
    target = Target("value", "≤", _BYTES_MAX)
    return [
        *(Row(group, f"{name}, MEMORY USAGE", "B", [size]) for name, size in parts.items()),
        Row(group, "sum of these", "B", [sum(parts.values())], target=target),
        Row(group, "growth of used_memory", "B", [used_bytes], target=target),
    ]


def _mean_bytes(client: redis.Redis, names: Sequence[str]) -> float:
    return sum(_bytes(client, each) for each in names) / len(names)


def _bytes(client: redis.Redis, key: str) -> int:
    """Every element counted; 0 for none."""
    return int(cast(int | None, client.memory_usage(key, samples=0)) or 0)


def _used_bytes(client: redis.Redis) -> int:
    return int(cast(Mapping[str, Any], client.info("memory"))["used_memory"])
