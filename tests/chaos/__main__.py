"""`python -m tests.chaos`, or `make chaos`: faults of every kind against a loaded installation, in tables."""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom
from types import FrameType

from rich.console import Console

from tests.chaos.plan import QUICK, Plan
from tests.chaos.report import is_good, show
from tests.chaos.run import run

_EXIT_WRONG, _EXIT_INTERRUPTED = 1, 130


def main() -> int:
    """0 = every promise was kept, 1 = one was broken, 130 = interrupted."""
    plan = _plan()
    for variable in [each for each in os.environ if each.startswith("KENNEL_")]:
        del os.environ[variable]  # the settings of another installation
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console()
    console.print(f"seed {plan.seed}: {plan.executions} executions or more, {plan.faults} faults")
    try:
        with tempfile.TemporaryDirectory(prefix="kennel-chaos-") as directory:
            outcome = run(plan, Path(directory), lambda line: console.print(line, highlight=False))
    except KeyboardInterrupt:
        print("chaos: interrupted; everything it started is stopped", file=sys.stderr)
        return _EXIT_INTERRUPTED
    show(outcome, console)
    return 0 if is_good(outcome) else _EXIT_WRONG


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="repeats the faults and lengths of a run; random when left out"
    )
    parser.add_argument("--executions", type=int, help="at least so many are submitted")
    parser.add_argument("--faults", type=int, help="how many strike, one after the other")
    parser.add_argument("--quick", action="store_true", help="a short run with short leases, as in make test")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    given = {
        name: getattr(options, name)
        for name in ("executions", "faults")
        if getattr(options, name) is not None
    }
    seed = SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    return dataclasses.replace(plan, seed=seed, **given)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
