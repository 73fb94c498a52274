"""Search quality through the real API, worker and engine, on people's judgments of real questions."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.client import Client
from benchmarks.processes import ROOT
from benchmarks.quality.baseline import bm25s_quality
from benchmarks.quality.judged import DATA_VARIABLE, Judged, cisi_directory, read_judged
from benchmarks.quality.kennel import BM25, HYBRID, SHIPPED, Loaded, load, rankings
from benchmarks.quality.metrics import Quality, quality_of
from benchmarks.quality.report import TARGETS
from tests.stack import API_KEY, Stack

NAMESPACE = "quality"


@pytest.fixture(scope="module")
def judged() -> Judged:
    directory = cisi_directory()
    if not directory.is_dir():
        pytest.skip(f"no judged collection: {directory} does not exist; {DATA_VARIABLE} names another place")
    return read_judged(directory)


@pytest.fixture(scope="module")
def baseline(judged: Judged) -> Quality:
    return bm25s_quality(judged)


@pytest.fixture(scope="module")
def loaded(judged: Judged, service: Stack) -> Iterator[Loaded]:
    service.namespace(NAMESPACE).close()
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": NAMESPACE}
    with contextlib.closing(Client("127.0.0.1", service.port, headers)) as client:
        yield load(client, NAMESPACE, judged)


@pytest.mark.parametrize("name", [BM25, HYBRID])
def test_search_as_shipped_reaches_its_target(
    name: str, judged: Judged, baseline: Quality, loaded: Loaded
) -> None:
    quality = quality_of(name, rankings(loaded, name, SHIPPED[name], judged.queries), judged)
    assert quality.ratio(baseline) >= TARGETS[name], (
        f"nDCG@10 is {quality.mean_ndcg():.3f}, that of bm25s {baseline.mean_ndcg():.3f}"
    )


def test_without_the_collection_the_command_says_what_to_do(tmp_path: Path) -> None:
    command = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality"],
        cwd=ROOT,
        env={**os.environ, DATA_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (command.returncode, command.stdout) == (1, "")
    assert command.stderr == (
        f"quality: there is no judged collection: {tmp_path}/cisi/documents.jsonl does not exist; "
        f"set {DATA_VARIABLE} to the directory that holds cisi\n"
    )
