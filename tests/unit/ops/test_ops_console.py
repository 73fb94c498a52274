from __future__ import annotations

import json

import pytest

from ops.console import Console

SECRET = "sk_0123456789abcdefghij"


def test_each_line_has_the_name_of_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("human")
    console.line("api", "hello")
    console.line("worker-1", "hello")
    assert capsys.readouterr().out == "api      | hello\nworker-1 | hello\n"


def test_secrets_in_the_output_of_a_process_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    for log_format in ("human", "json"):
        Console(log_format).line("api", f"key {SECRET} at redis://:p4ss@h")
        out = capsys.readouterr().out
        assert SECRET not in out
        assert "p4ss" not in out


def test_lines_to_copy_have_no_name_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    Console("human").paste(["curl \\", "  http://h"])
    assert capsys.readouterr().out == "curl \\\n  http://h\n"
    Console("json").paste(["curl", ""])
    assert [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()] == ["curl", ""]


def test_json_passes_objects_through_and_wraps_other_text(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console("json")
    console.line("worker-1", '{"event":"execution.completed"}')
    console.line("redis", "ready")
    console.say("stopping")
    first, second, third = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"event": "execution.completed"}
    assert (second["process"], second["message"]) == ("redis", "ready")
    assert (third["process"], third["message"]) == ("kennel", "stopping")
