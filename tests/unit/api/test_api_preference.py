"""The header Prefer, and how long an execute waits."""

from __future__ import annotations

import pytest

from api.auth import Principal
from api.preference import Preference
from shared.settings import Settings


def principal(default_wait_s: float | None = None) -> Principal:
    return Principal("key", "name", frozenset({"read"}), None, default_wait_s, "standard", None)


@pytest.mark.parametrize(
    ("header", "wait_s", "respond_async"),
    [
        (None, None, False),
        ("wait=5", 5.0, False),
        ('respond-async, wait="2.5"', 2.5, True),
        ("WAIT = 90", 60.0, False),
        ("respond-async", None, True),
        ("wait=soon, handling=strict", None, False),
    ],
)
def test_what_is_understood(header: str | None, wait_s: float | None, respond_async: bool) -> None:
    assert Preference.of(header) == Preference(wait_s, respond_async)


@pytest.mark.parametrize(
    ("header", "default_wait_s", "expected"),
    [
        ("wait=0", 20.0, 0.0),
        ("wait=3", None, 3.0),
        ("respond-async", 20.0, 0.0),
        (None, 20.0, 20.0),
        (None, None, 1.5),
    ],
)
def test_the_wait_is_the_callers_else_the_keys_else_everybodys(
    header: str | None, default_wait_s: float | None, expected: float
) -> None:
    settings = Settings(execute_wait_s=1.5)
    assert Preference.of(header).execute_wait_s(principal(default_wait_s), settings) == expected
