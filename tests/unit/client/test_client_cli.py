"""What the command line says of itself, and of a scripted server's answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ops import cli
from tests.unit.client.fake_server import API_KEY, FakeServer, Reply, at, fake_server, refusal

COMMANDS = (
    *((name,) for name in ("submit", "poll", "wait", "list", "cancel", "batch", "load")),
    *(
        (group, name)
        for group in ("retrievers", "collections")
        for name in ("list", "show", "create", "delete")
    ),
)


def kennel(server: FakeServer, *arguments: str) -> Result:
    connection = ("--url", server.base_url, "--api-key", API_KEY, "--namespace", "ns")
    return CliRunner().invoke(cli.app, [*arguments, *connection])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_names_the_variables_of_the_connection(command: tuple[str, ...]) -> None:
    environment = {"COLUMNS": "200", "KENNEL_API_KEY": API_KEY}
    shown = CliRunner().invoke(cli.app, [*command, "--help"], env=environment).output
    for name in ("KENNEL_URL", "KENNEL_API_KEY", "KENNEL_NAMESPACE", "--json"):
        assert name in shown
    assert API_KEY not in shown


@pytest.mark.parametrize(
    ("status", "outcome", "sentence"),
    [
        ("cancelled", "removed_from_queue", "exec_1 is taken from the queue and will not run"),
        ("processing", "stopping", "exec_1 is stopping in stage search"),
        ("completed", "already_terminal", "exec_1 had ended already: completed"),
    ],
)
def test_cancel_says_what_it_came_to(status: str, outcome: str, sentence: str) -> None:
    stops_after = "search" if outcome == "stopping" else None
    body = {"execution_id": "exec_1", "status": status, "outcome": outcome, "stops_after": stops_after}
    with fake_server(Reply(200, body), Reply(200, body)) as server:
        assert kennel(server, "cancel", "books", "exec_1").output == f"{sentence}\n"
        assert json.loads(kennel(server, "cancel", "books", "exec_1", "--json").output) == body


def test_without_a_terminal_poll_prints_a_line_for_each_change() -> None:
    pending = at(1, "pending", wait_reason="queued")
    replies = (pending, refusal(429), at(2, current_stage="search"), at(3, "completed"))
    with fake_server(*replies) as server:
        result = kennel(server, "poll", "books", "exec_1")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "exec_1 pending 0/1 queued",
        "exec_1 processing 0/1 search",
        "exec_1 completed",
        "0 of 0 documents",
    ]


def test_what_users_wrote_is_no_markup() -> None:
    document = {"document_id": "doc_1", "payload": {"title": "[red]not red[/red]"}}
    with fake_server(at(1, "completed", documents=[document])) as server:
        assert "title: [red]not red[/red]" in kennel(server, "wait", "books", "exec_1").output


def test_a_message_of_several_lines_is_one_line() -> None:
    with fake_server(refusal(422, "first\nsecond")) as server:
        result = kennel(server, "wait", "books", "exec_1")
    assert (result.exit_code, result.stderr) == (2, "kennel: first second\n")


def test_a_delete_asks_first() -> None:
    with fake_server() as server:
        result = CliRunner().invoke(
            cli.app,
            ["retrievers", "delete", "books", "--url", server.base_url, "--api-key", API_KEY],
            input="n\n",
        )
        assert result.exit_code == 1
        assert server.asked == []


def test_an_embedding_needs_a_collection_that_is_made() -> None:
    with fake_server() as server:
        result = kennel(server, "load", "-", "--collection", "books", "--embed", "title")
    assert (result.exit_code, "add --create" in result.stderr) == (2, True)


def test_a_batch_that_cannot_go_on_says_how_far_it_is(tmp_path: Path) -> None:
    """The key is revoked in the middle: what is finished stays so, and nothing else is tried."""
    about = {"retriever_id": "ret_1", "retriever_name": "books", "created_at": "now"}
    (tmp_path / "lines.jsonl").write_text('{"query": "a"}\n{"query": "b"}\n{"query": "c"}\n')
    file = str(tmp_path / "lines.jsonl")
    with fake_server(Reply(200, about), at(2, "completed"), refusal(401, "revoked")) as server:
        result = kennel(server, "batch", file, "-r", "books", "-c", "1")
    assert result.exit_code == 2
    assert result.stderr == "kennel: revoked (1 of 3 lines finished; the same command goes on)\n"
    [line] = (tmp_path / "lines.jsonl.results.jsonl").read_text().splitlines()
    assert json.loads(line)["line"] == 1


@pytest.mark.parametrize(
    ("options", "priority"),
    [((), None), (("--wait",), "interactive"), (("--wait", "--priority", "bulk"), "bulk")],
)
def test_a_submit_is_as_urgent_as_whoever_waits_for_it(
    options: tuple[str, ...], priority: str | None
) -> None:
    with fake_server(at(1, "completed")) as server:
        assert kennel(server, "submit", "books", "query=a", *options).exit_code == 0
    assert server.asked[0].body.get("priority") == priority


@pytest.mark.parametrize(("options", "priority"), [((), "bulk"), (("--priority", "normal"), "normal")])
def test_the_lines_of_a_batch_let_others_pass(
    tmp_path: Path, options: tuple[str, ...], priority: str
) -> None:
    about = {"retriever_id": "ret_1", "retriever_name": "books", "created_at": "now"}
    (tmp_path / "lines.jsonl").write_text('{"query": "a"}\n')
    with fake_server(Reply(200, about), at(2, "completed")) as server:
        kennel(server, "batch", str(tmp_path / "lines.jsonl"), "-r", "books", *options)
    assert server.asked[1].body["priority"] == priority


def test_a_batch_leaves_what_is_not_finished_in_time_to_the_next_run(tmp_path: Path) -> None:
    about = {"retriever_id": "ret_1", "retriever_name": "books", "created_at": "now"}
    (tmp_path / "lines.jsonl").write_text('{"query": "a"}\n')
    command = ("batch", str(tmp_path / "lines.jsonl"), "-r", "books", "--timeout")
    with fake_server(Reply(200, about), at(1), Reply(200, about), at(2, "completed")) as server:
        late = kennel(server, *command, "0")
        assert (late.exit_code, "1 not finished in time" in late.stderr) == (1, True)
        assert kennel(server, *command, "9").exit_code == 0
        keys = [asked.headers.get("Idempotency-Key") for asked in server.asked if asked.method == "POST"]
    assert len(keys) == 2
    assert len(set(keys)) == 1
