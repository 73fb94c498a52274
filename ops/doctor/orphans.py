"""Keys of which nothing that they belong to is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redis import Redis

from ops.doctor.bounded import ask
from ops.doctor.fault import Fault, Kind
from shared import keys

ORPHAN = Kind("orphaned key", "untidy", "delete the key")


def look_at_documents(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """Results without their execution record."""
    owners = [keys.execution(name.removeprefix(keys.result_documents(""))) for name in names]
    return _look(redis, names, owners, "the documents of an execution that has no record")


def look_at_checkpoints(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """Checkpoints without their execution record."""
    owners = [keys.execution(name.removeprefix(keys.checkpoint(""))) for name in names]
    return _look(redis, names, owners, "the checkpoint of an execution that has no record")


def look_at_books(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """Books without their namespace. One that is being purged keeps them until it is done."""
    namespaces = [name.removeprefix(keys.books("")) for name in names]
    purging = set(redis.hkeys(keys.DELETING))
    kept = [(name, each) for name, each in zip(names, namespaces, strict=True) if each not in purging]
    owners = [keys.resource("namespace", each) for _, each in kept]
    return _look(redis, [name for name, _ in kept], owners, "the books of a namespace that is gone")


def look_at_lines(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """Lines without their batch."""
    owners = [name.removesuffix(":lines") for name in names]
    return _look(redis, names, owners, "the lines of a batch that is gone")


def look_at_alert_states(redis: Redis, names: Sequence[str]) -> Iterator[Fault]:
    """What is remembered of an alert that is gone."""
    owners = [keys.resource("alert", name.removeprefix(keys.alert_state(""))) for name in names]
    return _look(redis, names, owners, "the state of an alert that is gone")


def _look(redis: Redis, names: Sequence[str], owners: Sequence[str], found: str) -> Iterator[Fault]:
    """Each of `owners` is what the name at its place belongs to. One round trip."""
    existing = ask(redis, [("EXISTS", owner) for owner in owners])
    for name, owner, exists in zip(names, owners, existing, strict=True):
        if not exists:
            yield Fault(ORPHAN, name, found, "orphan", (name, owner))
