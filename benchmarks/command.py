"""What the commands of the benchmarks have in common: they clean up, and say in one line what ended them."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from benchmarks.figures import BenchError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def run_command(name: str, measure: Callable[[Path], int]) -> int:
    """The exit code of `measure`; 1 = it could not measure, 130 = interrupted.

    Everything is started and written below the one temporary directory that it is given.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    for variable in [each for each in os.environ if each.startswith("KENNEL_")]:
        del os.environ[variable]  # the settings of an installation are not those of a benchmark
    try:
        with tempfile.TemporaryDirectory(prefix=f"kennel-{name}-") as directory:
            return measure(Path(directory))
    except BenchError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted; everything it started is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
