"""Measurements: every observation is in one bucket, and what is sent twice can be told from the next."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists

from shared.metrics import (
    BOUNDS_S,
    COUNTERS,
    HISTOGRAMS,
    QUEUE_WAIT,
    STAGE_ERRORS,
    STAGE_TIME,
    STALE_WRITES,
    Measured,
)
from workers.meter import Meter


def measured(meter: Meter) -> Measured:
    """As if all had been sent to an empty hash."""
    sent = meter.to_send()
    return Measured(sent.amounts if sent else {})


@given(lists(floats(0, 1_000)))
def test_every_observation_is_in_the_bucket_of_its_length(seconds: list[float]) -> None:
    meter = Meter()
    for each in seconds:
        meter.observe(QUEUE_WAIT, each)
    found = measured(meter).distributions(QUEUE_WAIT)[""]
    bounds = (0, *BOUNDS_S, float("inf"))
    for (lower, upper), count in zip(pairwise(bounds), found.buckets, strict=True):
        assert count == sum(lower < each <= upper or each == lower == 0 for each in seconds)
    assert found.sum_s == pytest.approx(sum(seconds), abs=1e-6 * (len(seconds) + 1))


def test_labels_are_kept_apart_whatever_is_in_them() -> None:
    meter = Meter()
    for label in ("mmr", "a|b", "mmr"):
        meter.observe(STAGE_TIME, 2.0, label)
        meter.count(STAGE_ERRORS, 3, label)
    found = measured(meter)
    assert found.counts(STAGE_ERRORS) == {"a|b": 3, "mmr": 6}
    assert {label: sum(each.buckets) for label, each in found.distributions(STAGE_TIME).items()} == {
        "a|b": 1,
        "mmr": 2,
    }


def test_what_was_never_measured_is_zero_or_has_no_label() -> None:
    nothing = Measured({})
    assert nothing.counts(STALE_WRITES) == {"": 0}
    assert nothing.counts(STAGE_ERRORS) == {}
    assert nothing.distributions(STAGE_TIME) == {}
    assert set(nothing.distributions(QUEUE_WAIT)[""].buckets) == {0}


def test_a_count_of_nothing_sends_nothing() -> None:
    meter = Meter()
    meter.count(STALE_WRITES, 0)
    assert meter.to_send() is None


def test_what_is_not_confirmed_is_sent_again_as_it_was() -> None:
    meter = Meter()
    meter.count(STALE_WRITES)
    first = meter.to_send()
    meter.count(STALE_WRITES, 5)
    assert meter.to_send() == first
    meter.confirm()
    second = meter.to_send()
    assert first is not None
    assert second is not None
    assert (first.amounts, second.amounts) == ({STALE_WRITES.field(): 1}, {STALE_WRITES.field(): 5})
    assert first.token != second.token
    meter.confirm()
    assert meter.to_send() is None


def test_names_are_unique_and_say_their_unit() -> None:
    names = [each.name for each in (*COUNTERS, *HISTOGRAMS)]
    assert len(set(names)) == len(names)
    assert all(each.name.startswith("kennel_") and each.help.endswith(".") for each in COUNTERS)
    assert all(each.name.endswith("_seconds") for each in HISTOGRAMS)
