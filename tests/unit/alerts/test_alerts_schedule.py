"""When a scheduled alert is due: intervals, cron expressions, and days on which the clocks change."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.schedule import check_cron, check_timezone, next_due_ms
from shared.clock import instant_ms, iso
from shared.models.alert import INTERVAL_MIN_S, SECONDS_MAX, Schedule

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def due_after(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next times, as clocks of its zone show them."""
    at_ms, found = instant_ms(after), []
    for _ in range(count):
        at_ms = next_due_ms(schedule, at_ms, at_ms)
        found.append(datetime.fromtimestamp(at_ms / 1000, ZoneInfo(schedule.timezone)).isoformat())
    return found


@given(
    st.integers(INTERVAL_MIN_S, SECONDS_MAX),
    st.integers(-SECONDS_MAX * 1000, SECONDS_MAX * 1000),
)
def test_an_interval_comes_due_at_multiples_from_the_creation_on(interval_s: int, since_ms: int) -> None:
    schedule = Schedule(interval_seconds=interval_s)
    due_ms = next_due_ms(schedule, NOW_MS, NOW_MS + since_ms)
    assert (due_ms - NOW_MS) % (interval_s * 1000) == 0
    assert due_ms > max(NOW_MS, NOW_MS + since_ms)
    assert due_ms - interval_s * 1000 <= max(NOW_MS, NOW_MS + since_ms)


@given(st.integers(0, 60 * 24 * 366))
def test_whoever_computes_it_within_a_minute_finds_the_same_time(minutes: int) -> None:
    schedule = Schedule(cron="*/7 3-5 * * 1-5", timezone="Asia/Tokyo")
    due_ms = next_due_ms(schedule, 0, NOW_MS + minutes * 60_000)
    assert {next_due_ms(schedule, 0, due_ms - before) for before in (1, 500, 60_000)} == {due_ms}


def test_a_cron_expression_is_read_in_its_zone() -> None:
    schedule = Schedule(cron="0 8 * * 1-5", timezone="Europe/Berlin")
    assert due_after(schedule, "2026-01-02T06:59:59.999Z", 3) == [
        "2026-01-02T08:00:00+01:00",
        "2026-01-05T08:00:00+01:00",
        "2026-01-06T08:00:00+01:00",
    ]


def test_a_time_that_the_clocks_skip_is_due_when_they_have_skipped_it() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    assert due_after(schedule, "2026-03-28T12:00:00.000Z", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_time_that_the_clocks_repeat_is_due_once() -> None:
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Berlin")
    times = due_after(schedule, "2026-10-24T12:00:00.000Z", 3)
    assert [each[:10] for each in times] == ["2026-10-25", "2026-10-26", "2026-10-27"]


def test_every_minute_comes_due_every_minute_while_the_clocks_change() -> None:
    at_ms = instant_ms("2026-10-24T23:50:00.000Z")
    schedule = Schedule(cron="* * * * *", timezone="Europe/Berlin")
    found = [at_ms]
    for _ in range(180):
        found.append(next_due_ms(schedule, 0, found[-1]))
    assert {later - earlier for earlier, later in pairwise(found)} == {60_000}


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("* * * * * *", "five fields"),
        ("60 * * * *", "Bad minute"),
        ("0 0 31 2 *", "Bad day-of-month"),
        ("a b c d e", "Bad minute"),
    ],
)
def test_what_is_no_cron_expression_is_refused(cron: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_cron(cron)


def test_a_cron_expression_that_is_one_is_kept() -> None:
    assert check_cron("0 0 29 2 *") == "0 0 29 2 *"


@given(st.text(max_size=40))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    try:
        check_cron(text)
    except ValueError:
        return
    assert next_due_ms(Schedule(cron=text), 0, NOW_MS) > NOW_MS


@pytest.mark.parametrize("name", ["", "Dune", "europe/berlin/x", "../etc/passwd", "Europe"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_timezone(name)


def test_an_instant_is_read_as_it_was_written() -> None:
    assert instant_ms(iso(NOW_MS + 123)) == NOW_MS + 123
