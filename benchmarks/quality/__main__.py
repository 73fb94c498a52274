"""`python -m benchmarks.quality`, or `make quality`: search a judged collection and print one table."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.command import run_command
from benchmarks.kennel_side import kennel_running
from benchmarks.quality import report
from benchmarks.quality.baseline import bm25s_quality
from benchmarks.quality.fusions import other_fusions, tuned_fusion
from benchmarks.quality.judged import Judged, cisi_directory, read_judged
from benchmarks.quality.kennel import Loaded, load, shipped_qualities
from benchmarks.quality.report import Verdict

EXIT_NOT_MET = 3


def main() -> int:
    """0 = all targets are met, 1 = could not be measured, 3 = a target is not met, 130 = interrupted."""
    return run_command("quality", _measure)


def _measure(directory: Path) -> int:
    judged = read_judged(cisi_directory())
    print(f"{len(judged.documents)} documents, {len(judged.queries)} judged queries\n", flush=True)
    baseline = bm25s_quality(judged)
    with _loaded(directory / "kennel", judged) as loaded:
        qualities = shipped_qualities(loaded, judged) + other_fusions(loaded, judged)
        tuned, weights = tuned_fusion(loaded, judged)
    qualities.append(tuned)
    verdicts = report.verdicts(baseline, qualities)
    print(report.table(baseline, qualities))
    print("", report.shipped(loaded.model), report.chosen(weights), *verdicts, sep="\n")
    return exit_code(verdicts)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    return 0 if all(verdict.is_met for verdict in verdicts) else EXIT_NOT_MET


@contextlib.contextmanager
def _loaded(directory: Path, judged: Judged) -> Iterator[Loaded]:
    """A real Kennel with one worker that holds the collection."""
    with kennel_running(directory) as kennel, kennel.worker():
        with contextlib.closing(kennel.client()) as client:
            created = client.call("POST", "/v1/namespaces", {"namespace_name": "quality"})
        with contextlib.closing(kennel.client(created["namespace_id"])) as client:
            yield load(client, created["namespace_id"], judged)


if __name__ == "__main__":
    sys.exit(main())
