"""When a scheduled alert is due. Pure: times come in and go out in milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from shared.models.alert import Schedule


def check_cron(cron: str) -> str:
    """The expression, if it is one that comes due.

    Raises:
        ValueError: it has not five fields, is malformed, or names a day that never comes.
    """
    if len(cron.split()) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    try:
        next(CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"is not a cron expression: {error}") from error
    except StopIteration:
        raise ValueError("names a day that never comes") from None
    return cron


def check_timezone(name: str) -> str:
    """The name, if it is one of the IANA's. Raises ValueError."""
    if name not in _timezones():
        raise ValueError("is not the name of a time zone, such as Europe/Berlin or UTC")
    return name


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def next_due_ms(schedule: Schedule, created_ms: int, after_ms: int) -> int:
    """The first time behind `after_ms` at which it is due.

    An interval counts from the alert's creation, so that it comes due at the same times whoever computes
    them. A cron expression is read in its time zone: a time that the clocks skip in spring is due when they
    have skipped it, one that they repeat in autumn is due once (as Debian's cron does).
    """
    if schedule.interval_seconds is not None:
        interval_ms = schedule.interval_seconds * 1000
        return created_ms + max(1, (after_ms - created_ms) // interval_ms + 1) * interval_ms
    after = datetime.fromtimestamp(after_ms / 1000, ZoneInfo(schedule.timezone))
    due = next(CronSim(schedule.cron or "", after))
    return int(due.timestamp()) * 1000
