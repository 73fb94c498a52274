"""What the table and the verdicts say, and the exit code that follows."""

from __future__ import annotations

import pytest

from benchmarks.quality.__main__ import EXIT_NOT_MET, exit_code
from benchmarks.quality.metrics import Quality
from benchmarks.quality.report import shipped, table, verdicts

BASELINE = Quality("bm25s", {"1": 0.5, "2": 0.25}, {"1": 0.5, "2": 0.5})


def run(name: str, odd: float, even: float) -> Quality:
    return Quality(name, {"1": odd, "2": even}, {"1": 1.0, "2": 0.5})


def test_a_line_of_the_table_says_all_figures() -> None:
    *_, baseline, line = table(BASELINE, [run("bm25", 0.5, 0.5)]).splitlines()
    assert baseline.split() == ["bm25s", "0.375", "0.500", "0.250", "1.000x", "1.000x", "1.00", "0.500"]
    assert line.split() == ["bm25", "0.500", "0.500", "0.500", "1.333x", "2.000x", "1.00", "0.750"]


@pytest.mark.parametrize(
    ("bm25", "hybrid", "code"),
    [(0.36, 0.40, 0), (0.35, 0.40, EXIT_NOT_MET), (0.36, 0.39, EXIT_NOT_MET)],
)
def test_a_target_that_is_not_met_is_an_error(bm25: float, hybrid: float, code: int) -> None:
    """The baseline's mean is 0.375: the least are 0.356 for bm25 and 0.394 for hybrid."""
    runs = [run("bm25", bm25, bm25), run("vector", 0.0, 0.0), run("hybrid", hybrid, hybrid)]
    found = verdicts(BASELINE, runs)
    assert [verdict.name for verdict in found] == ["bm25", "hybrid"]
    assert exit_code(found) == code


def test_a_verdict_shows_the_even_queries_too() -> None:
    [verdict] = verdicts(BASELINE, [run("hybrid", 0.25, 0.5)])
    assert str(verdict) == "hybrid: 1.000 over all queries, target ≥ 1.05: NOT MET; 2.000 over the even ones"


def test_the_shipped_defaults_are_those_of_the_stage() -> None:
    assert shipped("some model") == (
        "Shipped: fusion rrf (k = 60), weight 1, the best 100 of each search; "
        "BM25 with k1 = 1.2, b = 0.75, Porter stems and 129 stop words; vectors some model."
    )
