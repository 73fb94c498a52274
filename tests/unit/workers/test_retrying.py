"""What may pass, and how long a retry waits."""

from __future__ import annotations

import pytest

from shared.errors import InvalidInput, StageError, TransientError, Unavailable
from workers.execution.retrying import delay_s, may_pass


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (TransientError("busy"), True),
        (Unavailable("away"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (StageError("no"), False),
        (InvalidInput("no"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_may_pass(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


@pytest.mark.parametrize(("attempt", "bound_s"), [(1, 1), (2, 2), (3, 4), (7, 60), (50, 60)])
def test_the_delay_grows_up_to_a_cap(attempt: int, bound_s: float) -> None:
    drawn = {delay_s(attempt, TimeoutError()) for _ in range(50)}
    assert bound_s / 2 <= min(drawn) < max(drawn) <= bound_s


@pytest.mark.parametrize(("asked_s", "waits_s"), [(30, 30), (9_999, 300), (0, 1)])
def test_a_service_that_says_when_is_heard(asked_s: float, waits_s: float) -> None:
    error = TransientError("busy", details={"retry_after_seconds": asked_s})
    assert delay_s(1, error) == pytest.approx(waits_s, rel=0.5)
