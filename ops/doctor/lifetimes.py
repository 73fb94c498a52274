"""Keys that must expire (shared/keys.py says which, and when) and do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from redis import Redis

from ops.doctor.bounded import ask
from ops.doctor.fault import Fault, Kind
from shared import keys
from shared.settings import Settings

NO_LIFETIME = Kind("key that never expires", "untidy", "give it the lifetime that such keys have")

_DELIVERY_TTL_S = 2_592_000  # as shared/lua/deliveries.lua
_FLUSHED_TTL_S = 3_600  # as shared/lua/heartbeat.lua
_EVENTS_TTL_S = 86_400  # as shared/lua/event_stream.lua


def no_lifetime(name: str, ttl_s: int, kept_by: tuple[str, ...] = ()) -> Fault:
    """`kept_by`: a hash, its field, and the values of it with which the key need not expire."""
    return Fault(NO_LIFETIME, name, "it has no lifetime", "lifetime", (name, ttl_s, *kept_by))


def lifetimes_s(settings: Settings) -> dict[str, int]:
    """Kinds of keys that always expire, and after how long (s)."""
    return {
        "docs": settings.result_ttl_s,
        "ckpt": settings.result_ttl_s,
        "sum": settings.summary_ttl_s,
        "hist": settings.summary_ttl_s,
        "batches": settings.summary_ttl_s,
        "alert_runs": settings.summary_ttl_s,
        "deletion": settings.summary_ttl_s,
        "idem": settings.idempotency_ttl_s,
        "upsert": settings.idempotency_ttl_s,
        "flushed": _FLUSHED_TTL_S,
        "events": _EVENTS_TTL_S,
        **dict.fromkeys(("delivery", "deliveries", "health"), _DELIVERY_TTL_S),
    }


def look(redis: Redis, settings: Settings, names: Sequence[str]) -> Iterator[Fault]:
    """`names` are keys of these kinds. One round trip."""
    wanted = lifetimes_s(settings)
    for name, ttl_s in zip(names, ask(redis, [("TTL", name) for name in names]), strict=True):
        if ttl_s == -1:
            yield no_lifetime(name, wanted[name.split(":")[1]])


def look_at_definitions(redis: Redis, settings: Settings, names: Sequence[str]) -> Iterator[Fault]:
    """A snapshot of a definition is permanent while it is its retriever's version. Two round trips."""
    versions = [name.removeprefix("kennel:def:").rpartition(":") for name in names]
    records = [keys.resource("retriever", retriever_id) for retriever_id, _, _ in versions]
    current = ask(redis, [("HGET", record, "version") for record in records])
    ttls = ask(redis, [("TTL", name) for name in names])
    for name, (_, _, version), record, now, ttl_s in zip(
        names, versions, records, current, ttls, strict=True
    ):
        if ttl_s == -1 and now != version:
            yield no_lifetime(name, settings.result_ttl_s, (record, "version", version))
