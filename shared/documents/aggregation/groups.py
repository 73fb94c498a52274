"""The values that make the groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.documents.aggregation.dates import instant, part, truncated
from shared.documents.aggregation.plan import GroupField
from shared.filters.paths import MISSING, resolve
from shared.filters.sort import ranked
from shared.filters.values import is_number, number

_INT64_MIN, _INT64_END = -(2**63), 2**63


@dataclass(frozen=True, slots=True)
class GroupValue:
    """
    Attributes:
        shown: what the answer holds; equal ones are one group. None: the document has no such value.
        order: what groups are sorted by, equal for equal values.
    """

    shown: Any
    order: tuple[int, Any] | None

    @property
    def key(self) -> tuple[int, Any] | None:
        return None if self.shown is None else ranked(self.shown)


_NONE = GroupValue(None, None)


def group_value(group: GroupField, record: Mapping[str, Any]) -> GroupValue:
    """The document's value for one group field."""
    value = resolve(group.field, {}, record)
    if value is None or value is MISSING:
        return _NONE
    if group.ranges is not None:
        return _range_of(group, value)
    if group.date_trunc is not None or group.date_part is not None:
        return _date_of(group, value)
    kept = is_number(value) if group.keep == "number" else group.keep and isinstance(value, bool)
    return GroupValue(value if kept else _as_text(value), ranked(value))


def _range_of(group: GroupField, value: Any) -> GroupValue:
    if group.ranges is None or not is_number(value):
        return _NONE
    place, name = group.ranges.place(value)
    return GroupValue(name, ranked(place))


def _date_of(group: GroupField, value: Any) -> GroupValue:
    at = instant(value)
    if at is None:
        return _NONE
    if group.date_trunc is not None:
        start = truncated(at, group.date_trunc)
        return GroupValue(start, ranked(start))
    if group.date_part is None:
        return _NONE
    number_of = part(at, group.date_part)
    return GroupValue(str(number_of), ranked(number_of))


def _as_text(value: Any) -> str:
    """Text as it is, the rest as JSON; numbers that are equal have one form: 1.0 is 1."""
    if isinstance(value, str):
        return value
    if is_number(value):
        value = number(value)
        if isinstance(value, float) and value.is_integer() and _INT64_MIN <= value < _INT64_END:
            value = int(value)
    return orjson.dumps(value).decode()
