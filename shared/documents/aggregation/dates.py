"""Parts of instants. A text is one if it is ISO 8601; without a time zone it is read as UTC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

TruncUnit = Literal["year", "month", "week", "day", "hour", "minute", "second"]
PartUnit = Literal["year", "month", "week", "day", "dayOfWeek", "dayOfYear", "hour", "minute", "second"]


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


_STARTS: Mapping[TruncUnit, Callable[[datetime], datetime]] = {
    "year": lambda at: _midnight(at.replace(month=1, day=1)),
    "month": lambda at: _midnight(at.replace(day=1)),
    "week": lambda at: _midnight(at - timedelta(days=at.weekday())),
    "day": _midnight,
    "hour": lambda at: at.replace(minute=0, second=0, microsecond=0),
    "minute": lambda at: at.replace(second=0, microsecond=0),
    "second": lambda at: at.replace(microsecond=0),
}
# Weeks are those of ISO 8601; days of the week are numbered as in MongoDB, 1 (Sunday) to 7 (Saturday).
_PARTS: Mapping[PartUnit, Callable[[datetime], int]] = {
    "year": lambda at: at.year,
    "month": lambda at: at.month,
    "week": lambda at: at.isocalendar().week,
    "day": lambda at: at.day,
    "dayOfWeek": lambda at: at.isoweekday() % 7 + 1,
    "dayOfYear": lambda at: at.timetuple().tm_yday,
    "hour": lambda at: at.hour,
    "minute": lambda at: at.minute,
    "second": lambda at: at.second,
}


def instant(value: Any) -> datetime | None:
    """The value as an instant in UTC, if it is one."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def truncated(at: datetime, unit: TruncUnit) -> str:
    """Where the unit begins that the instant is in: 2026-01-31T00:00:00Z."""
    return _STARTS[unit](at).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def part(at: datetime, unit: PartUnit) -> int:
    return _PARTS[unit](at)
