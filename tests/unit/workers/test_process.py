"""A long outage of Redis is no fault of an execution: it is let go, never written down as failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.errors import Unavailable
from shared.settings import Settings
from tests.servers import free_port
from tests.unit.workers.pipelines import PrivateRun, claim
from workers import process as process_module
from workers.execution import definition
from workers.lease.stopping import StopFlag
from workers.process import WorkerProcess


def test_an_outage_makes_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definition, "_PATIENCE_S", 0.1)
    # Their threads would outlive the test.
    monkeypatch.setattr(process_module, "Keeper", lambda *_: SimpleNamespace(cancel=None))
    monkeypatch.setattr(process_module, "Cancellations", lambda *_: None)
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", data_dir=tmp_path)
    process = WorkerProcess(settings, "worker", StopFlag())
    with pytest.raises(Unavailable):
        process._outcome(PrivateRun(claim(["col_1"])), 0.0)
