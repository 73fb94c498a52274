"""`make bench-batch`: what `kennel batch` uses, and that kills lose nothing.

First a whole run: memory and CPU of the client, CPU of the API, rate. Then the same file anew, killed with
SIGKILL at random moments until it is done: every line must have exactly one result.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import BenchError
from benchmarks.kennel_side import Kennel, kennel_running
from benchmarks.machine import facts
from benchmarks.processes import ROOT
from benchmarks.report import print_facts
from benchmarks.servers import HOST

LINES = 5_000
CLIENT_MAX_MB = 100
_KILLS = 5
_RUN_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of the client took."""

    exit_code: int
    seconds: float
    peak_mb: float
    client_cpu_s: float
    api_cpu_s: float


def main() -> int:
    """0 = within the limits and nothing lost or doubled, 1 = not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES, help=f"lines of the file; {LINES} if left out")
    lines = parser.parse_args().lines
    print_facts(facts())
    for name in [name for name in os.environ if name.startswith("KENNEL_")]:
        del os.environ[name]  # the settings of an installation are not those of the benchmark
    try:
        with tempfile.TemporaryDirectory(prefix="kennel-bench-") as name:
            directory = Path(name)
            with kennel_running(directory / "kennel") as kennel, kennel.worker():
                _measure(kennel, _write_input(directory, lines), lines)
    except BenchError as error:
        print(f"bench-batch: {error}", file=sys.stderr)
        return 1
    return 0


def _write_input(directory: Path, lines: int) -> Path:
    file = directory / "questions.jsonl"
    with file.open("w") as output:
        for number in range(lines):
            output.write(json.dumps({"query": f"fox number {number}"}) + "\n")
    return file


def _measure(kennel: Kennel, file: Path, lines: int) -> None:
    usage = _run(kennel, file)
    _check(file, lines)
    print(f"{lines:,} lines in {usage.seconds:.1f} s: {lines / usage.seconds:,.0f} a second")
    print(f"client: {usage.peak_mb:.0f} MB at most, {usage.client_cpu_s:.2f} s of CPU")
    print(f"API:    {usage.api_cpu_s:.2f} s of CPU")
    if usage.peak_mb > CLIENT_MAX_MB or usage.client_cpu_s > usage.api_cpu_s:
        raise BenchError(f"the client may use {CLIENT_MAX_MB} MB, and no more CPU than the API")
    kills = _run_with_kills(kennel, file, usage.seconds)
    _check(file, lines)
    print(f"killed {kills} times: every line has one result")


def _run_with_kills(kennel: Kennel, file: Path, whole_s: float) -> int:
    """Begin anew, then kill and go on until it is done; how often it was killed."""
    options = ["--restart"]
    kills = 0
    for _ in range(_KILLS):
        kill_after_s = random.uniform(0.6, 0.6 + whole_s / _KILLS)
        kills += _run(kennel, file, *options, kill_after_s=kill_after_s).exit_code < 0
        options = []
    _run(kennel, file)
    return kills


def _run(kennel: Kennel, file: Path, *options: str, kill_after_s: float | None = None) -> Usage:
    """One `kennel batch`. Raises BenchError: it did not end well, unless it was killed."""
    retriever = kennel.retrievers.search
    command = ("-m", "ops.cli", "batch", str(file), "--retriever", retriever.retriever_id, *options)
    api_cpu_s, began_s = kennel.api.cpu_s(), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **_connection(kennel, retriever.namespace_id)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        _wait(process, kill_after_s or _RUN_TIMEOUT_S)
    os.kill(process.pid, signal.SIGKILL)  # one that has ended is still there until it is reaped below
    assert process.stderr is not None
    said = process.stderr.read().decode()
    process.stderr.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 and not (kill_after_s and process.returncode < 0):
        raise BenchError(f"kennel batch ended with exit code {process.returncode}: {said[-1_000:]}")
    return Usage(
        exit_code=process.returncode,
        seconds=time.monotonic() - began_s,
        peak_mb=used.ru_maxrss / 1024,
        client_cpu_s=used.ru_utime + used.ru_stime,
        api_cpu_s=kennel.api.cpu_s() - api_cpu_s,
    )


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Until it has ended, without reaping it: what it used is read then. Raises TimeoutExpired."""
    give_up_at_s = time.monotonic() + timeout_s
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > give_up_at_s:
            raise subprocess.TimeoutExpired(process.args, timeout_s)
        time.sleep(0.02)


def _connection(kennel: Kennel, namespace_id: str) -> Mapping[str, str]:
    return {
        "KENNEL_URL": f"http://{HOST}:{kennel.settings.port}",
        "KENNEL_API_KEY": kennel.api_key,
        "KENNEL_NAMESPACE": namespace_id,
    }


def _check(file: Path, lines: int) -> None:
    """Raises BenchError: a line has no result, or several, or one that is not its own."""
    written = file.with_name(f"{file.name}.results.jsonl").read_text()
    results = [json.loads(line) for line in written.splitlines()]
    counts = Counter(result["line"] for result in results)
    if counts != Counter(range(1, lines + 1)):
        raise BenchError(f"{len(results)} results for {lines} lines; most often {counts.most_common(3)}")
    executions = {result["execution"]["execution_id"] for result in results}
    if len(executions) != lines or any(result["status"] != "completed" for result in results):
        raise BenchError("lines share an execution, or did not complete")


if __name__ == "__main__":
    sys.exit(main())
