"""Execution records: each unfinished one is in the index of its status, each ended one expires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redis import Redis

from ops.doctor.bounded import ask
from ops.doctor.fault import Fault
from ops.doctor.leases import NO_LEASE, of_lease
from ops.doctor.lifetimes import no_lifetime
from ops.doctor.queues import no_message
from shared import keys
from shared.models.execution import TERMINAL
from shared.settings import Settings

_UNFINISHED = ("pending", "processing")


def look(redis: Redis, settings: Settings, names: Sequence[str]) -> Iterator[Fault]:
    """`names` are keys of records. Two round trips."""
    seen = ask(redis, [("HMGET", name, "status", "queue", "seq") for name in names])
    places = ask(redis, [_place(name, *values) for name, values in zip(names, seen, strict=True)])
    for name, (status, queue, sequence), place in zip(names, seen, places, strict=True):
        execution_id = name.removeprefix(keys.execution(""))
        if status == "pending" and place is None:
            yield no_message(execution_id, int(sequence), f"pending, but not listed as waiting in {queue}")
        elif status == "processing" and place is None:
            yield of_lease(NO_LEASE, execution_id, "it runs, but nobody has a lease of it", settings)
        elif status in TERMINAL and place == -1:
            yield no_lifetime(name, settings.result_ttl_s, (name, "status", *_UNFINISHED))


def _place(name: str, status: str | None, queue: str | None, _sequence: str | None) -> tuple[str, ...]:
    """The command that says where it stands, or, of one that has ended, how long it stays."""
    execution_id = name.removeprefix(keys.execution(""))
    if status == "pending":
        return ("ZSCORE", keys.pending(queue or ""), execution_id)
    if status == "processing":
        return ("ZSCORE", keys.LEASES, execution_id)
    return ("TTL", name)
