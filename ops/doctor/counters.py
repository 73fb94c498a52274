"""Counters beside what they count: the books of the installation and of each namespace, and batches.

What is read here may be of different moments. It only says where to look: the repairs compare in one call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from redis import Redis

from ops.doctor.bounded import ask, in_steps
from ops.doctor.fault import Fault, Kind
from shared import broker, keys
from shared.models.books import Books, books_of, reading_of
from shared.models.execution import Status
from shared.redis_sync import fcall

WRONG = "wrong counter"
WRONG_BOOKS = Kind(WRONG, "wrong", "book the difference, once other faults are mended")
WRONG_BATCH = Kind(WRONG, "stuck", "count the lines of the batch again")

OPEN_MAX = 5_000  # executions that one call may look at: some milliseconds
_OPEN = (Status.PENDING, Status.PROCESSING)
_COUNTERS = ("submitted", "finished", *Status)


def look_at_installation(redis: Redis) -> Iterator[Fault]:
    """The books of the installation beside queues and leases. O(queues)."""
    reading = reading_of(*fcall(redis, "read_books", "", *broker.QUEUES))
    if not reading.is_balanced:
        there = {"pending": reading.waiting, "processing": reading.running}
        yield _of_books("", _open(reading.books), there)


def open_by_namespace(redis: Redis) -> dict[str, dict[str, int]] | None:
    """Namespace -> status -> unfinished executions; None: there are more than OPEN_MAX."""
    flat = fcall(redis, "count_open", OPEN_MAX, *broker.QUEUES)
    if flat is None:
        return None
    rows = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return {namespace: {"pending": int(p), "processing": int(r)} for namespace, p, r in rows}


def look_at_namespaces(redis: Redis, there: Mapping[str, Mapping[str, int]]) -> Iterator[Fault]:
    """The books of each namespace beside `there`, what `open_by_namespace` found. In steps."""
    namespaces = redis.zscan_iter(keys.resource_ids("namespace", keys.INSTALLATION), count=500)
    for step in in_steps(namespace_id for namespace_id, _ in namespaces):
        books = ask(redis, [("HGETALL", keys.books(namespace_id)) for namespace_id in step])
        for namespace_id, each in zip(step, books, strict=True):
            booked, found = _open(books_of(each.items())), there.get(namespace_id, dict.fromkeys(_OPEN, 0))
            if booked != found:
                yield _of_books(namespace_id, booked, found)


def _open(books: Books) -> dict[str, int]:
    return {status.value: books.held(status) for status in _OPEN}


def _of_books(namespace_id: str, booked: Mapping[str, int], there: Mapping[str, int]) -> Fault:
    words = [f"{booked[each]} {each} by the books, {there[each]} there" for each in _OPEN]
    subject = f"namespace {namespace_id}" if namespace_id else "installation"
    return Fault(WRONG_BOOKS, subject, "; ".join(words), "books", (namespace_id, OPEN_MAX, *broker.QUEUES))


def look_at_batches(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """`names` are keys of batches. O(their lines), in steps."""
    for name in names:
        counters, ttl_s = ask(redis, [("HMGET", name, *_COUNTERS), ("TTL", name)])
        booked = {counter: int(number or 0) for counter, number in zip(_COUNTERS, counters, strict=True)}
        wrong = [
            f"{counter} {booked[counter]} instead of {number}"
            for counter, number in _recounted(redis, name).items()
            if booked[counter] != number
        ]
        if ttl_s == -1 and not any(booked[status] for status in _OPEN):
            wrong.append("it rests and has no lifetime")
        if wrong:
            batch_id = name.removeprefix(keys.batch(""))
            yield Fault(WRONG_BATCH, batch_id, "; ".join(wrong), "batch", (batch_id,))


def _recounted(redis: Redis, name: str) -> dict[str, int]:
    """What the counters of a batch must be. Of lines whose result has expired is known that they ended."""
    statuses: Counter[str | None] = Counter()
    for step in in_steps(redis.hscan_iter(f"{name}:lines", count=500)):
        records = [keys.execution(line.split(" ", 1)[0]) for _, line in step]
        statuses.update(ask(redis, [("HGET", record, "status") for record in records]))
    lines = statuses.total()
    known = _OPEN if statuses[None] else tuple(Status)
    ended = lines - sum(statuses[status] for status in _OPEN)
    return {"submitted": lines, "finished": ended, **{status: statuses[status] for status in known}}
