"""`python -m benchmarks`, or `make bench`: run the measurements and print one table."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.command import run_command
from benchmarks.figures import FULL, QUICK, Row
from benchmarks.machine import facts, others_percent
from benchmarks.measures import MEASURES, ON_REQUEST
from benchmarks.report import print_facts, table, write_json


def main() -> int:
    """0 = measured (met or not), 1 = could not be measured, 130 = interrupted."""
    options = _options()
    return run_command("bench", lambda directory: _measure(directory, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Kennel beside a naive FastAPI + Celery app."
    )
    parser.add_argument("--quick", action="store_true", help="one short round of each: figures are rough")
    parser.add_argument(
        "--only", action="append", choices=list(MEASURES), help="this measurement; may be repeated"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures of every round there, too"
    )
    return parser.parse_args()


def _measure(directory: Path, options: argparse.Namespace) -> int:
    machine = facts()
    print_facts(machine)
    names = options.only or [name for name in MEASURES if name not in ON_REQUEST]
    rows = _run(directory, names, quick=options.quick)
    print(table(rows))
    if options.json:
        write_json(options.json, machine, rows)
    return 0


def _run(directory: Path, names: list[str], *, quick: bool) -> list[Row]:
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        bench = Bench(stack, directory, QUICK if quick else FULL)
        for name, measure in MEASURES.items():
            if name in names:
                began_s = time.monotonic()
                print(f"measuring {name} …", end=" ", flush=True)
                rows += measure(bench)
                print(f"{time.monotonic() - began_s:.0f} s", flush=True)
    print(f"others use {others_percent():.0f} % of the cores now\n")
    return rows


if __name__ == "__main__":
    sys.exit(main())
