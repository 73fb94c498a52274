"""The arithmetic and the table of the benchmark, on figures that can be checked by hand."""

from __future__ import annotations

import pytest

from benchmarks.bench import in_turns
from benchmarks.figures import BenchError, Row, Target, at_least, at_most, busy_share, percentile
from benchmarks.load import Requests
from benchmarks.report import table


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1.0) == 100
    assert percentile([3.0], 0.5) == 3.0


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(BenchError):
        percentile([], 0.5)


def test_busy_share_counts_idle_time_between_and_beside_the_sleeps() -> None:
    both_threads_all_the_time = [(0.0, 2.0), (0.0, 1.0), (1.0, 1.0)]
    assert busy_share(both_threads_all_the_time, threads=2) == pytest.approx(1.0)
    one_thread_with_a_gap = [(0.0, 1.0), (3.0, 1.0)]
    assert busy_share(one_thread_with_a_gap, threads=1) == pytest.approx(0.5)


def test_ratio_is_median_over_median() -> None:
    row = Row("group", "name", "1/s", [1.0, 400.0, 500.0], [100.0, 1.0, 9_000.0], at_least(4))
    assert row.ratio == 4.0
    assert row.is_met is True


@pytest.mark.parametrize(
    ("target", "is_met"), [(at_least(2.1), False), (at_most(1.9), False), (at_most(2.0), True)]
)
def test_target_is_of_the_ratio(target: Target, is_met: bool) -> None:
    assert Row("group", "name", "ms", [20.0], [10.0], target).is_met is is_met


def test_target_of_a_value_needs_no_baseline() -> None:
    row = Row("group", "name", "%", [89.0], (), Target("value", "≥", 90))
    assert row.ratio is None
    assert row.is_met is False


def test_a_missing_baseline_does_not_meet_a_ratio() -> None:
    assert Row("group", "name", "1/s", [5.0], [], at_least(1)).is_met is False


def test_every_side_has_one_turn_a_round() -> None:
    turns = list(in_turns(5, ["kennel", "naive", "other"]))
    assert [sorted(turns[start : start + 3]) for start in range(0, 15, 3)] == [
        ["kennel", "naive", "other"]
    ] * 5


def test_table_names_each_group_once_and_counts_the_targets() -> None:
    rows = [
        Row("submits", "rate", "1/s", [3_500.0], [1_000.0], at_least(3.5)),
        Row("submits", "p50", "ms", [1.5], [2.0]),
        Row("memory", "API", "MB", [60.0], [20.0], at_most(1)),
    ]
    text = table(rows)
    assert text.count("submits\n") == 1
    assert "3,500" in text and "3.50x" in text and "≥ 3.5" in text
    assert "NOT MET" in text and "1 of 2 targets met" in text


def test_requests_are_complete_http_messages() -> None:
    requests = Requests("127.0.0.1", 80, "POST", ["/a", "/b"], {"X-Key": "k"}, "é")
    first, second = requests.encoded()
    assert first == b"POST /a HTTP/1.1\r\nX-Key: k\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n\xc3\xa9"
    assert second.startswith(b"POST /b ")
