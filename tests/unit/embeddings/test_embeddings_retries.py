"""The bounds of waiting, whatever the endpoint says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import now_ms
from shared.embeddings.retries import MAX_RETRY_AFTER_S, RETRIES, retry_after_s, with_retries
from shared.errors import Unavailable

DAY_S = 86_400


@pytest.mark.parametrize(
    ("header", "asked_s"),
    [
        ("0", 0),
        ("12", 12),
        ("9" * 500, DAY_S),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY_S),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(header: str, asked_s: float | None) -> None:
    assert retry_after_s(header) == asked_s


def test_a_date_is_compared_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.embeddings.retries.now_ms", lambda: 784_111_777_000 - 2_500)
    assert now_ms() > 784_111_777_000
    assert retry_after_s("Sun, 06 Nov 1994 08:49:37 GMT") == 2.5


@given(st.text())
def test_no_header_fails_or_asks_for_more_than_a_day(header: str) -> None:
    asked_s = retry_after_s(header)
    assert asked_s is None or 0 <= asked_s <= DAY_S


@given(st.lists(st.floats(0, 20), min_size=RETRIES + 1, max_size=RETRIES + 1))
def test_attempts_and_pauses_are_bounded_and_never_shorter_than_asked(asked: list[float]) -> None:
    calls: list[float] = []
    pauses: list[float] = []

    def call() -> None:
        calls.append(asked[len(calls)])
        raise Unavailable("away", details={"retry_after_seconds": calls[-1]})

    with pytest.raises(Unavailable):
        with_retries(call, pauses.append)
    patient = next((n for n, asked_s in enumerate(asked[:RETRIES]) if asked_s > MAX_RETRY_AFTER_S), RETRIES)
    assert (len(calls), len(pauses)) == (patient + 1, patient)
    for number, (pause, asked_s) in enumerate(zip(pauses, calls, strict=False)):
        assert asked_s <= pause <= asked_s + 0.5 * 2**number
    assert math.fsum(pauses) <= RETRIES * MAX_RETRY_AFTER_S + 3.5


def test_another_error_is_not_repeated() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise ValueError

    with pytest.raises(ValueError):
        with_retries(call, calls.append)
    assert calls == [1]
