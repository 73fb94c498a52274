"""Leases: every running execution has one, and the sweep ends it when it is over."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from ops.doctor.bounded import ask, in_steps
from ops.doctor.fault import Fault, Kind
from shared import broker, keys
from shared.settings import Settings
from shared.stores.ledger import given_up

EXPIRED = Kind("expired lease", "stuck", "put the execution back, or fail it after its last attempt")
NO_LEASE = Kind("running without lease", "stuck", EXPIRED.advice)
STRAY = Kind("lease without running record", "wrong", "remove the lease")

_SWEEPS = 10  # a lease that so many missed will be ended by none


def look(redis: Redis, settings: Settings) -> Iterator[Fault]:
    """Leases that are over, or of what does not run. O(running)."""
    seconds, _ = redis.time()
    overdue_before = seconds * 1000 - overdue_ms(settings)
    for step in in_steps(redis.zscan_iter(keys.LEASES, count=500)):
        statuses = ask(redis, [("HGET", keys.execution(each), "status") for each, _ in step])
        for (execution_id, ends_ms), status in zip(step, statuses, strict=True):
            if status != "processing":
                yield of_lease(STRAY, execution_id, f"leased, but {status or 'without a record'}", settings)
            elif ends_ms <= overdue_before:
                late_s = seconds - int(ends_ms) // 1000
                found = f"its lease was over {late_s} s ago, and no worker's sweep has ended it"
                yield of_lease(EXPIRED, execution_id, found, settings)


def of_lease(kind: Kind, execution_id: str, found: str, settings: Settings) -> Fault:
    arguments = (
        execution_id,
        overdue_ms(settings),
        broker.message_template(),
        settings.max_attempts,
        given_up(settings.max_attempts),
        settings.result_ttl_s,
        settings.summary_ttl_s,
        settings.history_max,
    )
    return Fault(kind, execution_id, found, "lease", arguments)


def overdue_ms(settings: Settings) -> int:
    """How long a lease can be over while all is well: some sweeps, and the pause after a gap of them."""
    return _SWEEPS * settings.sweep_ms + 2 * settings.heartbeat_ms + 1_000
