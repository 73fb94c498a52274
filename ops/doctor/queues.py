"""Queues beside their indexes: messages and records belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from redis import Redis

from ops.doctor.bounded import ask, in_steps, messages
from ops.doctor.counters import OPEN_MAX, WRONG
from ops.doctor.fault import Fault, Kind
from shared import broker, keys
from shared.redis_sync import fcall
from shared.settings import Settings
from shared.stores.executions import PARKED_FROM
from shared.stores.ledger import LOST_WINDOW_MS

NO_MESSAGE = Kind("record without message", "stuck", "send its message again")
NO_RECORD = Kind("message without record", "untidy", "remove the message")
WRONG_WINDOW = Kind(WRONG, "stuck", "count the messages again")
STRAY_ENTRY = Kind("queue entry without pending record", "wrong", "remove the entry")

_ID = re.compile(r'"id": ?"(exec_[\w-]+)"')


def look(redis: Redis, settings: Settings) -> Iterator[Fault]:
    """Faults of every queue. O(waiting executions), in steps."""
    for queue in broker.QUEUES:
        yield from _look(redis, queue)


def _look(redis: Redis, queue: str) -> Iterator[Fault]:
    # The index first: what is in it has its message in the queue by now, or is being claimed.
    entries = dict(_entries(redis, keys.pending(queue)))
    yield from _stray_entries(redis, queue, entries)
    on_their_way: set[str] = set()
    for step in in_steps(messages(redis, queue)):
        by_id = {found[1]: message for message in step if (found := _ID.search(message))}
        on_their_way |= by_id.keys()
        existing = ask(redis, [("EXISTS", keys.execution(each)) for each in by_id])
        for (execution_id, message), exists in zip(by_id.items(), existing, strict=True):
            if not exists:
                found_here = f"a message in {queue} names an execution that does not exist"
                yield Fault(NO_RECORD, execution_id, found_here, "stray_message", (queue, message))
    on_their_way |= dict(_entries(redis, keys.DELAYED)).keys()  # the sweep sends those when they are due
    on_their_way |= _parked(redis, queue)
    seconds, _ = redis.time()
    before = (seconds * 1000 - 2 * LOST_WINDOW_MS) * 1000
    for execution_id, sequence in entries.items():
        if execution_id not in on_their_way and not before <= sequence < PARKED_FROM:
            yield no_message(execution_id, sequence, f"pending, but no message for it is in {queue}")
    yield from _wrong_windows(redis, queue)


def _parked(redis: Redis, queue: str) -> set[str]:
    """Executions that wait for their namespace's turn; a claim or an end sends their messages."""
    members = [member.split(" ") for member in redis.sscan_iter(keys.PARKING, count=500)]
    names = [keys.parked(queue, namespace) for name, namespace in members if name == queue]
    return {execution_id for name in names for execution_id, _ in _entries(redis, name)}


def _wrong_windows(redis: Redis, queue: str) -> Iterator[Fault]:
    """Counts of a namespace's messages; of a queue that is too long for one call nothing is said."""
    flat = fcall(redis, "windows", queue, OPEN_MAX) or ()
    for namespace, counted, there in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        found = f"{counted} messages in {queue} are counted, {there} are there"
        yield Fault(WRONG_WINDOW, f"namespace {namespace}", found, "window", (queue, namespace, OPEN_MAX))


def no_message(execution_id: str, sequence: int, found: str) -> Fault:
    arguments = (execution_id, sequence, broker.message_template())
    return Fault(NO_MESSAGE, execution_id, found, "message", arguments)


def _entries(redis: Redis, key: str) -> Iterator[tuple[str, int]]:
    """(execution id, score) of all that wait there; in a queue the score is the sequence number."""
    for execution_id, score in redis.zscan_iter(key, count=500):
        yield execution_id, int(score)


def _stray_entries(redis: Redis, queue: str, entries: dict[str, int]) -> Iterator[Fault]:
    for step in in_steps(iter(entries)):
        statuses = ask(redis, [("HGET", keys.execution(each), "status") for each in step])
        for execution_id, status in zip(step, statuses, strict=True):
            if status != "pending":
                found = f"listed as waiting in {queue}, but {status or 'without a record'}"
                yield Fault(STRAY_ENTRY, execution_id, found, "pending_entry", (queue, execution_id))
