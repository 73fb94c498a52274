"""`kennel batch`: killed anywhere and run again, each line has one result and one execution."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.commands import Run
from tests.contract.scenes import retriever, search, unique
from tests.stack import Stack, gate
from tests.waiting import wait_until

LINES = 300
FILE = "questions.jsonl"
SCHEMA = {"query": {"type": "string", "required": True}, "top_k": {"type": "integer"}}


@pytest.fixture
def trains(client: httpx.Client, books: str) -> str:
    """A retriever of the test's own: its executions are counted."""
    return retriever(client, search(final_top_k=3), collection_identifiers=[books], input_schema=SCHEMA)


def write_lines(command: Run, lines: int = LINES) -> None:
    rows = (json.dumps({"query": f"trains {number}"}) + "\n" for number in range(1, lines + 1))
    (command.directory / FILE).write_text("".join(rows))


def results(command: Run, name: str = f"{FILE}.results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (command.directory / name).read_text().splitlines()]


def recorded(command: Run) -> int:
    """How many lines the state knows as finished."""
    state = command.directory / f"{FILE}.state"
    return max(0, state.read_bytes().count(b"\n") - 1) if state.exists() else 0


def submitted(client: httpx.Client, name: str) -> int:
    total: int = client.post(f"/retrievers/{name}/executions/list", json={}).json()["pagination"]["total"]
    return total


def end(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """Send a signal; what it said on stderr."""
    process.send_signal(how)
    return process.communicate(timeout=20)[1]


def assert_each_line_once(command: Run, client: httpx.Client, name: str, lines: int = LINES) -> None:
    found = results(command)
    assert Counter(each["line"] for each in found) == Counter(range(1, lines + 1))
    for each in found:
        assert each["status"] == "completed"
        assert each["execution"]["retriever_id"] == name
    assert len({each["execution"]["execution_id"] for each in found}) == lines
    assert submitted(client, name) == lines


def test_a_whole_run(command: Run, client: httpx.Client, trains: str) -> None:
    write_lines(command)
    done = command("batch", FILE, "-r", trains, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["lines"], summary["completed"], summary["failed"]) == (LINES, LINES, 0)
    assert_each_line_once(command, client, trains)
    again = json.loads(command("batch", FILE, "-r", trains, "--json").stdout)
    assert (again["completed"], again["earlier"]) == (0, LINES)
    assert submitted(client, trains) == LINES


def test_killed_at_random_points(command: Run, client: httpx.Client, trains: str) -> None:
    write_lines(command)
    for kill_at in sorted(random.sample(range(1, LINES - 40), 3)):
        process = command.start("batch", FILE, "-r", trains, "-c", str(random.randint(1, 16)))
        wait_until(lambda at=kill_at: recorded(command) >= at, 40, f"{kill_at} lines")
        end(process, signal.SIGKILL)
        assert recorded(command) < LINES
    assert command("batch", FILE, "-r", trains).returncode == 0
    assert_each_line_once(command, client, trains)


def test_killed_between_submit_and_result(command: Run, service: Stack, client: httpx.Client) -> None:
    """What was submitted and not recorded is the same execution when it is submitted again."""
    closed = unique("closed")
    name = retriever(client, gate(closed), input_schema=SCHEMA)
    write_lines(command, 40)
    process = command.start("batch", FILE, "-r", name, "-c", "8")
    wait_until(lambda: submitted(client, name) == 8, 20, "eight submissions")
    end(process, signal.SIGKILL)
    assert recorded(command) == 0
    service.open(closed)
    assert command("batch", FILE, "-r", name).returncode == 0
    assert_each_line_once(command, client, name, 40)


@pytest.mark.parametrize("torn", [b"", b'{"line": 20, "sta'])
def test_killed_between_result_and_record(
    command: Run, client: httpx.Client, trains: str, torn: bytes
) -> None:
    write_lines(command, 20)
    assert command("batch", FILE, "-r", trains).returncode == 0
    state = command.directory / f"{FILE}.state"
    lines = state.read_bytes().splitlines(keepends=True)
    state.write_bytes(b"".join(lines[:-3]) + lines[-3][:10])  # the last record is torn, too
    with (command.directory / f"{FILE}.results.jsonl").open("ab") as file:
        file.write(torn)
    assert command("batch", FILE, "-r", trains).returncode == 0
    assert_each_line_once(command, client, trains, 20)


def test_ctrl_c_says_how_to_go_on(command: Run, service: Stack, client: httpx.Client) -> None:
    closed = unique("closed")
    name = retriever(client, gate(closed), input_schema=SCHEMA)
    write_lines(command, 20)
    process = command.start("batch", FILE, "-r", name, "-c", "4")
    wait_until(lambda: submitted(client, name) == 4, 20, "four submissions")
    said = end(process, signal.SIGINT)
    assert process.returncode == 130
    assert said == "kennel: interrupted: 0 of 20 lines finished; the same command goes on\n"
    service.open(closed)
    assert command("batch", FILE, "-r", name).returncode == 0
    assert_each_line_once(command, client, name, 20)


def test_lines_that_fail_are_results_too(command: Run, client: httpx.Client, trains: str) -> None:
    (command.directory / FILE).write_text('{"query": "a"}\n{"top_k": 1}\nnot json\n\n{"query": "b"}\n')
    done = command("batch", FILE, "-r", trains)
    assert done.returncode == 1
    assert "4 of 4 lines finished: 2 completed, 2 failed" in done.stderr
    found = {each["line"]: each for each in results(command)}
    assert {line: each["status"] for line, each in found.items()} == {
        1: "completed",
        2: "refused",
        3: "refused",
        5: "completed",
    }
    assert found[2]["error"]["details"]["validation_errors"][0]["loc"] == ["inputs", "query"]
    assert found[3]["error"]["message"].startswith("not JSON")
    (command.directory / FILE).write_text('{"query": "a"}\n{"query": "mended"}\nnot json\n\n{"query": "b"}\n')
    assert "1 completed, 2 finished by an earlier run, 1 failed in an earlier run" in (
        command("batch", FILE, "-r", trains).stderr
    )
    assert submitted(client, trains) == 3


def test_what_failed_is_run_again_when_asked(command: Run, service: Stack, client: httpx.Client) -> None:
    """The second try is an execution of its own, and the line's last result counts."""
    budget = {"max_time_ms": 300}
    closed = unique("closed")
    name = retriever(client, gate(closed), input_schema=SCHEMA, budget_limits=budget)
    write_lines(command, 2)
    assert command("batch", FILE, "-r", name).returncode == 1
    assert command("batch", FILE, "-r", name).returncode == 1
    assert submitted(client, name) == 2
    service.open(closed)
    assert command("batch", FILE, "-r", name, "--retry-failed").returncode == 0
    assert submitted(client, name) == 4
    found = results(command)
    assert {each["line"]: each["status"] for each in found} == {1: "completed", 2: "completed"}
    assert len(found) == 4


def test_restart_runs_everything_anew(command: Run, client: httpx.Client, trains: str) -> None:
    write_lines(command, 10)
    for options in ((), ("--restart",)):
        assert command("batch", FILE, "-r", trains, *options).returncode == 0
    assert submitted(client, trains) == 20
    assert len(results(command)) == 10


def test_csv_is_typed_by_the_schema(command: Run, client: httpx.Client, trains: str) -> None:
    (command.directory / "questions.csv").write_text("query,top_k\n1971,3\ntrains,\n")
    assert command("batch", "questions.csv", "-r", trains, "-o", "out.jsonl").returncode == 0
    found = results(command, "out.jsonl")
    given = {each["line"]: each["execution"]["interpretation"]["provided_input_keys"] for each in found}
    assert given == {2: ["query", "top_k"], 3: ["query"]}
    assert {each["status"] for each in found} == {"completed"}


def test_standard_input_goes_to_standard_output(command: Run, trains: str) -> None:
    lines = '{"query": "trains"}\n{"inputs": {"query": "trains"}, "limit": 1}\n'
    done = command("batch", "-", "-r", trains, stdin=lines)
    assert done.returncode == 0
    found = {each["line"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert {line: len(each["execution"]["documents"]) for line, each in found.items()} == {1: 3, 2: 1}
    assert list(command.directory.iterdir()) == []


def test_with_a_state_standard_input_goes_on_too(command: Run, client: httpx.Client, trains: str) -> None:
    options = ("batch", "-", "-r", trains, "--state", "state", "-o", "out.jsonl")
    assert command(*options, stdin='{"query": "a"}\n').returncode == 0
    assert command(*options, stdin='{"query": "a"}\n{"query": "b"}\n').returncode == 0
    assert submitted(client, trains) == 2
    assert len(results(command, "out.jsonl")) == 2


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["none.jsonl"], "none.jsonl cannot be read"),
        (["questions.txt"], "say which it is with --format"),
        ([FILE, "-o", "no/such/directory.jsonl"], "cannot be written"),
        ([FILE, "--state", "no/such/directory"], "cannot be written"),
    ],
)
def test_what_cannot_run_is_exit_code_2(
    command: Run, client: httpx.Client, trains: str, arguments: list[str], problem: str
) -> None:
    write_lines(command, 1)
    done = command("batch", *arguments, "-r", trains)
    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert submitted(client, trains) == 0


def test_a_retriever_that_is_not_there_is_exit_code_2(command: Run) -> None:
    write_lines(command, 1)
    done = command("batch", FILE, "-r", "nowhere")
    assert (done.returncode, "nowhere" in done.stderr) == (2, True)
    assert not Path(command.directory / f"{FILE}.state").exists()
