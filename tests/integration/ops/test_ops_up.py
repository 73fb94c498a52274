"""How `kennel up` ends when it does not come up, with small programs in place of API and workers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ops import child, up
from ops.child import Program
from ops.data_dir import DataDir
from ops.supervisor import STOP_SIGNALS
from shared.settings import Settings

DIE = "raise SystemExit(3)"
WAIT = "import signal; signal.pause()"
STOP_KENNEL = f"import os, signal; os.kill(os.getppid(), signal.SIGTERM); {WAIT}"


@pytest.fixture(autouse=True)
def restored_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("KENNEL_REDIS_URL", raising=False)
    handlers = {signum: signal.getsignal(signum) for signum in STOP_SIGNALS}
    yield
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_children: Callable[[], set[psutil.Process]]
) -> Callable[[str], int]:
    """Run `kennel up` with one program that is the given Python code; its exit code. Nothing may be left."""

    def run_code(code: str) -> int:
        program = Program("only", (sys.executable, "-S", "-c", code), {})
        monkeypatch.setattr(up, "programs", lambda *_: [program])
        exit_code = up.up(Settings(data_dir=tmp_path, port=0, flower_port=0, demo=False))
        assert not new_children()
        with DataDir(tmp_path).locked():  # which its Redis would hold too
            return exit_code

    return run_code


def test_a_program_that_never_starts_ends_everything_with_1(
    run: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(child, "BACKOFF_MAX_S", 0.01)
    assert run(DIE) == 1
    assert "only died 10 times in a row (the last time: exit code 3)" in capsys.readouterr().out


def test_an_api_that_never_answers_ends_everything_with_1(
    run: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(up, "READY_S", 0.1)
    assert run(WAIT) == 1
    assert "Not ready after 0.1 s: the API does not answer" in capsys.readouterr().out


def test_a_stop_during_the_start_ends_everything_with_0(
    run: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(STOP_KENNEL) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "kennel   | stopped"
