"""When a failed delivery is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.deliveries.schedule import DELAY_MAX_S, JITTER, delay_s, next_delay_s
from shared.settings import Settings


def test_the_schedule_as_shipped_is_at_least_ten_tries_over_hours() -> None:
    settings = Settings()
    pauses = [delay_s(tries, settings.delivery_backoff_s) for tries in range(1, settings.delivery_attempts)]
    assert pauses == [5, 15, 45, 135, 405, 1215, 3645, 10800, 10800, 10800, 10800]
    assert sum(pauses) / 3600 > 13


@given(st.integers(1, 10_000), st.floats(0.001, 3600), st.none() | st.floats(0, 1e9))
def test_a_pause_is_positive_bounded_and_as_long_as_asked(
    tries: int, first_s: float, retry_after_s: float | None
) -> None:
    pause_s = next_delay_s(tries, first_s, retry_after_s)
    assert first_s * (1 - JITTER) <= pause_s <= DELAY_MAX_S * (1 + JITTER)
    assert pause_s >= min(retry_after_s or 0, DELAY_MAX_S)
