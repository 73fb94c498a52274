"""`python -m benchmarks`, or `make bench`: run the measurements and print one table."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from benchmarks.bench import Bench
from benchmarks.figures import FULL, QUICK, BenchError, Row
from benchmarks.machine import facts, others_percent
from benchmarks.measures import MEASURES, ON_REQUEST
from benchmarks.report import print_facts, table, write_json

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main() -> int:
    """0 = measured (met or not), 1 = could not be measured, 130 = interrupted."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    machine = facts()
    print_facts(machine)
    try:
        rows = _run(
            options.only or [name for name in MEASURES if name not in ON_REQUEST], quick=options.quick
        )
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("bench: interrupted; everything it started is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(table(rows))
    if options.json:
        write_json(options.json, machine, rows)
    return 0


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


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(names: list[str], *, quick: bool) -> list[Row]:
    """Everything is started and written below one temporary directory, and gone afterwards."""
    for name in [name for name in os.environ if name.startswith("KENNEL_")]:
        del os.environ[name]  # the settings of an installation are not those of the benchmark
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kennel-bench-")))
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
