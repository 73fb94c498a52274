"""When an alert counts, and what it found. Pure: the rows are those of an execution's result."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.models.alert import Alert, Threshold

Row = Mapping[str, Any]

MATCHES_MAX = 100  # the first rows; `match_count` counts all
_LEXICAL_HALF = 10.0  # the unbounded score that becomes 0.5

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_NOWHERE = object()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one evaluation found. Triggered says that the condition holds, not that anyone was told."""

    triggered: bool
    match_count: int
    matches: Sequence[Mapping[str, Any]] = ()
    measured: Mapping[str, Any] | None = None  # the metric of a system alert

    def figures(self) -> dict[str, Any]:
        """What the line of the history keeps of it, when the matches are gone."""
        return {"triggered": self.triggered, "match_count": self.match_count}


def evaluate(alert: Alert, rows: Sequence[Row], *, is_whole: bool) -> Finding:
    """
    Args:
        rows: documents as a result shows them, best first.
        is_whole: no stage was skipped and no deadline cut it short, so no rows means that there are none.
    """
    if alert.trigger_on == "no_results":
        holds = is_whole and not rows
    else:
        enough = len(rows) >= alert.min_count
        holds = enough and (alert.threshold is None or _passes(alert.threshold, rows[0]))
    scores = relevances([float(row.get("score") or 0.0) for row in rows])
    matches = [_match(row, score) for row, score in zip(rows[:MATCHES_MAX], scores, strict=False)]
    return Finding(holds, len(rows), matches)


def relevances(scores: Sequence[float]) -> list[float]:
    """Scores in 0..1, in the same order as before.

    A score above 1 tells a lexical search, whose scores have no bound: then all of them become
    score / (score + 10), as for a search's `min_score`. Others are cut off at 0.
    """
    if any(score > 1 for score in scores):
        return [max(0.0, score) / (max(0.0, score) + _LEXICAL_HALF) for score in scores]
    return [max(0.0, score) for score in scores]


def _passes(threshold: Threshold, row: Row) -> bool:
    """False also where the row has no such field, or one that cannot be compared with the value."""
    found = _look_up(threshold.field, row)
    value = threshold.value
    if found is _NOWHERE:
        return False
    if threshold.operator in ("eq", "ne"):
        is_same = isinstance(found, bool) == isinstance(value, bool) and found == value  # as JSON
        return is_same is (threshold.operator == "eq")
    if not (_are_numbers(found, value) or (isinstance(found, str) and isinstance(value, str))):
        return False
    return bool(_ORDER[threshold.operator](found, value))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)


def _look_up(path: str, row: Row) -> Any:
    """At the root of the row, in its document, or, for a bare name, in the document's metadata."""
    payload = row.get("payload") or {}
    places = [row, payload]
    if "." not in path:
        places.append(payload.get("metadata") or {})
    for place in places:
        found = at_path(place, path)
        if found is not None:
            return found
    return _NOWHERE


def at_path(value: Any, path: str) -> Any:
    """What is at a dotted path, which may start as a JSONPath does (`$.`); None where nothing is.

    A number names an element of a list.
    """
    for name in path.removeprefix("$.").split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _match(row: Row, score: float) -> dict[str, Any]:
    payload: Mapping[str, Any] = row.get("payload") or {}
    match: dict[str, Any] = {"document_id": row["document_id"], "score": round(score, 6)}
    for name, kind, found in (
        ("asset_id", str, payload.get("asset_id")),
        ("matched_features", Mapping, row.get("matched_features")),
        ("metadata", Mapping, payload.get("metadata")),
    ):
        if isinstance(found, kind):
            match[name] = found
    return match
