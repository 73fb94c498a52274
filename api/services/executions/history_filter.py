"""What a filter tree over a history asks of its lists: a status has one, everything else is looked for."""

from __future__ import annotations

from dataclasses import dataclass

from shared.filters import And, Condition, Filter, Or
from shared.filters.values import comparable
from shared.models.execution import Status


@dataclass(frozen=True, slots=True)
class Wanted:
    """Executions in this status (None: in any) that meet the rest (None: all of them)."""

    status: Status | None
    rest: Filter | None


def wanted_of(condition: Filter | None, status: Status | None) -> Wanted:
    """The tree, and the status asked for beside it, split so that both parts together mean the same.

    A second status stays in the rest, where it finds nothing.
    """
    rest: list[Filter] = []
    for part in _conjuncts(condition):
        named = _status_of(part)
        if named is None or status not in (None, named):
            rest.append(part)
        else:
            status = named
    return Wanted(status, And(tuple(rest)) if rest else None)


def _conjuncts(condition: Filter | None) -> list[Filter]:
    """What must all hold. The depth of a tree is bounded where it is parsed."""
    match condition:
        case None:
            return []
        case And(children):
            return [part for child in children for part in _conjuncts(child)]
        case Or((only,)):
            return _conjuncts(only)
        case _:
            return [condition]


def _status_of(condition: Filter) -> Status | None:
    """The only status that a condition lets through; None when it is not of that kind."""
    match condition:
        case Condition(path="status", operator="eq", value=str(value), case_sensitive=exact):
            wanted = comparable(value, case_sensitive=exact)
            return next((each for each in Status if each == wanted), None)
        case _:
            return None
