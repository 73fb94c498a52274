"""Stages that only the benchmark has: workers find them by the entry points of a package made for the run."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from shared.models.document import Document
from workers.context import StageContext
from workers.stages.base import Stage, StageOutput, StageParameters
from workers.stages.registry import ENTRY_POINT_GROUP

BEGAN_AT_S = "began_at_s"
SLEPT_S = "slept_s"


class BenchNoopParameters(StageParameters):
    """None."""


class BenchNoop(Stage[BenchNoopParameters]):
    """Pass the documents on."""

    stage_id: ClassVar[str] = "bench_noop"
    category: ClassVar[str] = "apply"
    Parameters = BenchNoopParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        return StageOutput(documents)


class BenchSleepParameters(StageParameters):
    """How long."""

    least_ms: int = Field(5, ge=0, description="Shortest sleep (ms).")
    most_ms: int = Field(50, ge=0, description="Longest sleep (ms).")


class BenchSleep(Stage[BenchSleepParameters]):
    """Sleep for a random time, as a stage does that waits for a model or a service.

    Its statistics say when it began (epoch, s) and how long it was to sleep (s).
    """

    stage_id: ClassVar[str] = "bench_sleep"
    category: ClassVar[str] = "apply"
    Parameters = BenchSleepParameters

    def run(self, documents: list[Document], context: StageContext) -> StageOutput:
        duration_s = random.uniform(self.parameters.least_ms, self.parameters.most_ms) / 1000
        began_at_s = time.time()
        time.sleep(duration_s)
        return StageOutput(documents, {BEGAN_AT_S: began_at_s, SLEPT_S: duration_s})


def write_package(directory: Path) -> None:
    """Make `directory`, once it is on PYTHONPATH, a package that brings these stages to a worker."""
    metadata = directory / "kennel_bench_stages-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: kennel-bench-stages\nVersion: 1\n")
    entries = [f"{stage.stage_id} = {__name__}:{stage.__name__}" for stage in (BenchNoop, BenchSleep)]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *entries, ""]))
