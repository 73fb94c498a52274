"""How a command of the benchmarks ends: its exit code, its one line, and nothing left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.command import run_command
from benchmarks.figures import BenchError


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command changes its process, which here is that of all tests."""
    monkeypatch.setattr(os, "environ", {**os.environ, "KENNEL_PORT": "1"})
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_a_command_ends_with_the_code_of_its_measurement_and_no_files() -> None:
    given: list[Path] = []

    def measure(directory: Path) -> int:
        given.append(directory)
        (directory / "figures").touch()
        return 3

    assert run_command("test", measure) == 3
    assert not given[0].exists()


def test_the_settings_of_an_installation_are_not_measured() -> None:
    assert run_command("test", lambda _: int("KENNEL_PORT" in os.environ)) == 0


def test_what_could_not_be_measured_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(_: Path) -> int:
        raise BenchError("no server")

    assert run_command("test", measure) == 1
    assert capsys.readouterr().err == "test: no server\n"


def test_a_termination_is_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(_: Path) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    assert run_command("test", measure) == 130
    assert capsys.readouterr().err == "test: interrupted; everything it started is stopped\n"
