"""A seed decides everything that is struck and submitted."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from tests.chaos.clock import Clock
from tests.chaos.faults import schedule
from tests.chaos.ledger import END, Entry, read_ledger
from tests.chaos.plan import QUICK, STAGES, Plan, work


def names(plan: Plan, seed: int) -> list[str]:
    return [kind.name for kind in schedule(plan, Random(seed))]


def test_a_seed_repeats_a_schedule() -> None:
    assert names(Plan(), 7) == names(Plan(), 7)
    assert names(Plan(), 7) != names(Plan(), 8)


def test_the_long_run_has_every_kind_and_each_long_outage_once() -> None:
    chosen = names(Plan(), 1)
    assert len(chosen) == 40
    assert len(set(chosen)) == 15
    assert [chosen.count(f"outage of {seconds} s") for seconds in (2, 20, 90)] == [1, 1, 1]


def test_the_short_run_has_no_kind_twice() -> None:
    chosen = names(QUICK, QUICK.seed)
    assert len(chosen) == len(set(chosen)) == QUICK.faults == 8


def test_a_seed_and_a_number_repeat_the_work() -> None:
    assert work(1, 5) == work(1, 5)
    assert len(work(1, 5).durations_ms) == STAGES
    assert len({work(1, number).durations_ms for number in range(100)}) > 90


def test_a_line_of_the_ledger_that_was_cut_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("1.500000 end exec_1 2 0\n2.0 start exec_1 2")
    assert read_ledger(path) == {"exec_1": [Entry(1.5, END, "exec_1", 2, 0)]}
    assert read_ledger(tmp_path / "none") == {}


def test_a_clock_is_put_off_and_right_again(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    clock.put_off(-60)
    assert struct.unpack("q", (tmp_path / "clock").read_bytes()) == (-60_000_000_000,)
    clock.put_off(0)
    assert struct.unpack("q", (tmp_path / "clock").read_bytes()) == (0,)
