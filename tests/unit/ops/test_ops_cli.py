from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops import cli
from shared.settings import Settings

runner = CliRunner()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that `kennel up` would have run with."""
    seen: list[Settings] = []

    def remember(settings: Settings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(cli, "up", remember)
    return seen


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "99999"], "--port is '99999'"),
        (["--workers", "-1"], "--workers is '-1'"),
        (["--threads", "0"], "--threads is '0'"),
    ],
)
def test_a_bad_option_is_named_in_one_line(
    arguments: list[str], problem: str, started: list[Settings]
) -> None:
    result = runner.invoke(cli.app, ["up", *arguments])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert problem in result.output
    assert not started


def test_a_bad_variable_is_named_in_one_line(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENNEL_LEASE_MS", "soon")
    result = runner.invoke(cli.app, ["up"])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert "KENNEL_LEASE_MS is 'soon'" in result.output


def test_variables_that_do_not_go_together_are_named_in_one_line_without_the_others(
    started: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KENNEL_API_KEY", "sk_0123456789abcdefghij")
    monkeypatch.setenv("KENNEL_LEASE_MS", "1000")
    result = runner.invoke(cli.app, ["up"])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert result.output.startswith("kennel: KENNEL_LEASE_MS (1000) must be at least three")
    assert "sk_" not in result.output
    assert not started


def test_an_option_wins_over_its_variable(started: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KENNEL_PORT", "9001")
    monkeypatch.setenv("KENNEL_FLOWER_PORT", "9002")
    assert runner.invoke(cli.app, ["up", "--port", "9000", "--no-demo", "--pool", "prefork"]).exit_code == 0
    assert (started[0].port, started[0].flower_port) == (9000, 9002)
    assert (started[0].demo, started[0].pool) == (False, "prefork")


def test_every_option_is_a_setting() -> None:
    up = runner.invoke(cli.app, ["up", "--help"], env={"COLUMNS": "200"}).output
    for name in (
        "host",
        "port",
        "flower-port",
        "data-dir",
        "workers",
        "threads",
        "pool",
        "demo",
        "task-events",
    ):
        assert f"--{name}" in up
        assert name.replace("-", "_") in Settings.model_fields


def test_keys_without_an_installation_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KENNEL_REDIS_URL", raising=False)
    result = runner.invoke(cli.app, ["keys", "list", "--data-dir", str(tmp_path)])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert "start one with `kennel up`" in result.output
