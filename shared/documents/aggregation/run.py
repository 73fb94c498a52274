"""One pass over the documents: memory grows with the groups, not with the documents."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.documents.aggregation.figures import FIGURES, Memory, RunningFigure
from shared.documents.aggregation.groups import GroupValue, group_value
from shared.documents.aggregation.plan import Having, Plan
from shared.documents.changes import placed
from shared.errors import InvalidInput
from shared.filters.ast import Condition
from shared.filters.evaluate import compile_item_test
from shared.filters.paths import MISSING, payload_parts, resolve
from shared.filters.sort import ranked

GROUPS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Aggregated:
    """
    Attributes:
        rows: {"group": …, "metrics": …} by alias.
        found: how many groups there were before `limit`.
        documents: how many were read, before `unwind`.
    """

    rows: list[dict[str, Any]]
    found: int
    documents: int


@dataclass(frozen=True, slots=True)
class _Group:
    values: Sequence[GroupValue]
    figures: Sequence[RunningFigure]


@dataclass(frozen=True, slots=True)
class _Row:
    """A finished group: what is shown, and by alias what it can be sorted by."""

    group: Mapping[str, Any]
    metrics: Mapping[str, Any]
    orders: Mapping[str, tuple[int, Any] | None]


def aggregate(records: Iterable[Mapping[str, Any]], plan: Plan) -> Aggregated:
    """The rows of the plan over documents, of which `plan.top_fields()` are enough.

    Without group fields there is one row, whatever the documents. first, last and push take the documents in
    the order given, and so do groups unless they are sorted.

    Raises:
        InvalidInput: too many groups or kept values, a figure that no double can hold, or a path to unwind
            that goes through a list.
    """
    memory = Memory()
    groups: dict[tuple[Any, ...], _Group] = {}
    if not plan.groups:
        groups[()] = _new_group(plan, (), memory)
    documents = 0
    for record in records:
        documents += 1
        for each in _unwound(record, plan.unwind):
            values = [group_value(field, each) for field in plan.groups]
            key = tuple(value.key for value in values)
            group = groups.get(key)
            if group is None:
                _check_room(groups)
                group = groups[key] = _new_group(plan, values, memory)
            _feed(group, plan, each)
    rows = [row for group in groups.values() if _passes(row := _row(group, plan), plan.having)]
    shown = _sorted(rows, plan)[: plan.limit]
    return Aggregated([{"group": row.group, "metrics": row.metrics} for row in shown], len(rows), documents)


def _new_group(plan: Plan, values: Sequence[GroupValue], memory: Memory) -> _Group:
    return _Group(values, [FIGURES[figure.function](memory) for figure in plan.figures])


def _check_room(groups: Mapping[Any, Any]) -> None:
    if len(groups) >= GROUPS_MAX:
        raise InvalidInput.at(
            ["group_by"],
            f"there are over {GROUPS_MAX:,} groups; filter the documents, or group more coarsely",
        )


def _unwound(record: Mapping[str, Any], path: str | None) -> Iterator[Mapping[str, Any]]:
    """The document once for each element of the list at the path; none for an empty or missing one."""
    if path is None:
        yield record
        return
    value = resolve(path, {}, record)
    if value is None or value is MISSING:
        return
    for element in value if isinstance(value, list) else [value]:
        try:
            yield placed(record, payload_parts(path), element)
        except InvalidInput as error:
            raise InvalidInput.at(["unwind"], error.errors[0]["msg"], value=path) from error


def _feed(group: _Group, plan: Plan, record: Mapping[str, Any]) -> None:
    for figure, running in zip(plan.figures, group.figures, strict=True):
        value = record if figure.field is None else resolve(figure.field, {}, record)
        if value is not None and value is not MISSING:
            running.add(value)


def _row(group: _Group, plan: Plan) -> _Row:
    shown = {field.alias: value.shown for field, value in zip(plan.groups, group.values, strict=True)}
    orders = {field.alias: value.order for field, value in zip(plan.groups, group.values, strict=True)}
    metrics: dict[str, Any] = {}
    for figure, running in zip(plan.figures, group.figures, strict=True):
        metrics[figure.alias] = _result(running, figure.function, figure.field)
    if plan.sort_by in metrics:
        value = metrics[plan.sort_by]
        orders[plan.sort_by] = None if value is None else ranked(value)
    return _Row(shown, metrics, orders)


def _result(running: RunningFigure, function: str, field: str | None) -> Any:
    try:
        result = running.result()
    except OverflowError:
        result = math.inf
    if isinstance(result, float) and not math.isfinite(result):
        raise InvalidInput.at(
            ["aggregations"], f"{function} of {field!r} is too large for a number; filter out huge values"
        )
    return result


def _passes(row: _Row, having: Sequence[Having]) -> bool:
    return all(_holds(condition, row.metrics[condition.alias]) for condition in having)


def _holds(having: Having, value: Any) -> bool:
    """As a filter compares: numbers with numbers, texts with texts; only `ne` holds where there is none."""
    positive = "eq" if having.operator == "ne" else having.operator
    held = value is not None and compile_item_test(Condition("", positive, having.value))(value)
    return held != (having.operator == "ne")


def _sorted(rows: list[_Row], plan: Plan) -> list[_Row]:
    """Rows without the value last, whatever the direction; equal ones in the order of their groups."""
    alias = plan.sort_by
    if alias is None:
        return rows
    with_value = [row for row in rows if row.orders[alias] is not None]
    without = [row for row in rows if row.orders[alias] is None]
    with_value.sort(key=lambda row: row.orders[alias] or (0, 0), reverse=plan.descending)
    return with_value + without
