"""When an alert counts: rows, thresholds, scores, matches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.notice import MATCHES_MAX_BYTES, shown_matches
from shared.alerts.rule import MATCHES_MAX, Finding, at_path, evaluate, relevances
from shared.models.alert import Alert


def alert(**over: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": "alt_1",
        "namespace_id": "ns_1",
        "name": "watch",
        "sealed_channels": "sealed",
        "channel_types": (),
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
        **over,
    }
    return Alert.model_validate(values)


def row(document_id: str = "d", score: float = 0.5, **payload: Any) -> dict[str, Any]:
    return {"document_id": document_id, "score": score, "payload": payload}


@pytest.mark.parametrize(
    ("over", "rows", "holds"),
    [
        ({}, 0, False),
        ({}, 1, True),
        ({"min_count": 3}, 2, False),
        ({"min_count": 3}, 3, True),
        ({"trigger_on": "no_results"}, 0, True),
        ({"trigger_on": "no_results"}, 1, False),
    ],
)
def test_it_counts_with_enough_rows_or_with_none(over: Any, rows: int, holds: bool) -> None:
    finding = evaluate(alert(**over), [row()] * rows, is_whole=True)
    assert (finding.triggered, finding.match_count) == (holds, rows)


def test_a_run_that_skipped_something_does_not_say_that_there_is_nothing() -> None:
    assert not evaluate(alert(trigger_on="no_results"), [], is_whole=False).triggered
    assert evaluate(alert(), [row()], is_whole=False).triggered


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("gt", 7, False),
        ("gt", 6.5, True),
        ("gte", 7, True),
        ("lt", 7, False),
        ("lt", 8, True),
        ("lte", 7, True),
        ("eq", 7.0, True),
        ("eq", "7", False),
        ("ne", 7, False),
        ("ne", 8, True),
        ("gt", "6", False),  # a number and a text have no order
        ("gt", None, False),
        ("gt", True, False),
    ],
)
def test_a_threshold_is_compared_with_the_first_row(operator: str, value: Any, holds: bool) -> None:
    threshold = {"field": "price", "operator": operator, "value": value}
    rows = [row(price=7), row(price=100)]
    assert evaluate(alert(threshold=threshold), rows, is_whole=True).triggered is holds


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("score", 0.5),
        ("payload.metadata.size", 9),
        ("metadata.size", 9),
        ("size", 9),
        ("kind", "book"),
        ("tags.1", "b"),
        ("flag", True),
    ],
)
def test_a_field_is_looked_up_in_the_row_its_document_and_its_metadata(field: str, found: Any) -> None:
    first = row(kind="book", tags=["a", "b"], metadata={"size": 9, "flag": True})
    for operator, holds in (("eq", True), ("ne", False)):
        threshold = {"field": field, "operator": operator, "value": found}
        assert evaluate(alert(threshold=threshold), [first], is_whole=True).triggered is holds


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte", "eq", "ne"])
def test_a_field_that_is_not_there_passes_no_threshold(operator: str) -> None:
    threshold = {"field": "nowhere", "operator": operator, "value": 1}
    assert not evaluate(alert(threshold=threshold), [row()], is_whole=True).triggered


@given(st.lists(st.floats(-1, 1e9), max_size=20))
def test_relevances_lie_between_0_and_1_and_keep_the_order(scores: list[float]) -> None:
    found = relevances(scores)
    assert all(0 <= each <= 1 for each in found)
    ordered = sorted(zip(scores, found, strict=True))
    assert [each for _, each in ordered] == sorted(found)


def test_lexical_scores_are_bounded_together_and_cosines_stay() -> None:
    assert relevances([10.0, 0.5]) == [0.5, 0.5 / 10.5]
    assert relevances([1.0, 0.25, -0.5]) == [1.0, 0.25, 0.0]


def test_a_match_says_what_it_is_of() -> None:
    first = {
        **row("d1", 30.0, asset_id="a1", metadata={"k": 1}, body="x"),
        "matched_features": {"text": 1},
    }
    assert evaluate(alert(), [first, row("d2", 10.0, metadata="none")], is_whole=True).matches == [
        {
            "document_id": "d1",
            "score": 0.75,
            "asset_id": "a1",
            "matched_features": {"text": 1},
            "metadata": {"k": 1},
        },
        {"document_id": "d2", "score": 0.5},
    ]


def test_the_first_rows_are_listed_and_all_are_counted() -> None:
    finding = evaluate(alert(), [row(str(i)) for i in range(MATCHES_MAX + 5)], is_whole=True)
    assert (finding.match_count, len(finding.matches)) == (MATCHES_MAX + 5, MATCHES_MAX)


def test_matches_are_shown_as_far_as_there_is_room_and_as_the_alert_wants_them() -> None:
    large = [{"document_id": str(i), "score": 1.0, "metadata": {"x": "y" * 100_000}} for i in range(5)]
    finding = Finding(True, 5, large)
    assert shown_matches(alert(), finding) == large[: MATCHES_MAX_BYTES // 100_000]
    assert shown_matches(alert(include_matches=False), finding) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.b", 1), ("$.a.b", 1), ("list.0.x", 2), ("list.1.x", None), ("a.b.c", None), ("none", None)],
)
def test_a_path_leads_into_objects_and_lists(path: str, found: Any) -> None:
    assert at_path({"a": {"b": 1}, "list": [{"x": 2}]}, path) == found
