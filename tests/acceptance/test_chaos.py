"""The short chaos run: faults of many kinds under load, and nothing that was promised is broken.

`make chaos` is the long run with Kennel's own settings; only that one judges how fast everything recovers.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.plan import QUICK
from tests.chaos.report import show
from tests.chaos.run import run


@pytest.mark.timeout(240)
def test_faults_break_no_promise_and_without_the_fence_they_do(tmp_path: Path) -> None:
    outcome = run(QUICK, tmp_path, print)
    show(outcome, Console(width=100))
    assert outcome.verdict.faults == []
    assert outcome.submitted >= QUICK.executions
    assert len({struck.kind.name for struck, _ in outcome.struck}) == QUICK.faults
    assert outcome.unfenced, "the referee saw nothing wrong although any attempt could write"
