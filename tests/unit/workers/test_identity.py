"""Whether a process that held a lease is certainly gone."""

from __future__ import annotations

import subprocess
import sys

from workers.lease.identity import has_died, process_name


def test_only_a_dead_process_of_this_worker_and_machine_has_died() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    mine = process_name("kennel-1@host")
    machine = mine.rpartition("/")[0]
    child.wait(20)
    gone = f"{machine}/{child.pid}"
    assert has_died(gone, "kennel-1@host")
    assert not has_died(mine, "kennel-1@host")
    assert not has_died(gone, "kennel-2@host")
    assert not has_died(f"kennel-1@host/elsewhere/{child.pid}", "kennel-1@host")
    assert not has_died("kennel-1@host/", "kennel-1@host")
