"""`kennel` on the command line against a real stack, as a program: its output, errors, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.acceptance.commands import Run
from tests.contract.scenes import failing, retriever, search, unique
from tests.stack import Stack, gate


@pytest.fixture(scope="module")
def trains(client: httpx.Client, books: str) -> str:
    schema = {"query": {"type": "string", "required": True}}
    return retriever(client, search(final_top_k=45), collection_identifiers=[books], input_schema=schema)


def test_submit_then_wait(command: Run, trains: str) -> None:
    submitted = command("submit", trains, "query=trains", "--limit", "2")
    execution_id, status = submitted.stdout.split()
    assert status == "pending"
    waited = command("wait", trains, execution_id)
    assert waited.returncode == 0
    first, header, *rows, last = waited.stdout.splitlines()
    assert first == f"{execution_id} completed"
    assert header.split() == ["document", "score", "payload"]
    assert len(rows) == 2
    assert last == "2 of 45 documents"


def test_without_a_terminal_there_are_no_colours(command: Run, trains: str) -> None:
    done = command("submit", trains, "query=trains", "--wait", FORCE_COLOR="")
    assert "\x1b" not in done.stdout + done.stderr


def test_json_is_one_object_a_line(command: Run, trains: str) -> None:
    done = command("submit", trains, "--inputs", '{"query": "trains"}', "--wait", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["status"] == "pending"
    assert (lines[-1]["status"], len(lines[-1]["documents"])) == ("completed", 20)


def test_inputs_of_every_form(command: Run, trains: str, tmp_path: Path) -> None:
    (tmp_path / "inputs.json").write_text('{"query": "of the file", "kept": 1}')
    done = command("submit", trains, "query=a=b", "count:=[1, 2]", "--inputs", "@inputs.json", "--json")
    listed = command("list", trains, "--limit", "1", "--json")
    assert json.loads(listed.stdout)["query_summary"] == "a=b"
    assert json.loads(done.stdout)["interpretation"]["provided_input_keys"] == ["count", "kept", "query"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["query"], "'query' is no input; write NAME=TEXT or NAME:=JSON"),
        (["query:=a b"], "'a b' is not JSON"),
        (["--inputs", "[]"], "not a JSON object"),
        (["--inputs", "@none.json"], "No such file"),
        (["query:=7"], "inputs.query"),
        (["query=x", "--url", "kennel"], "'kennel' is not an address"),
        (["query=x", "--api-key", "sk_wrong_wrong_wrong"], "name a key with --api-key or KENNEL_API_KEY"),
        (["query=x", "--namespace", "nowhere"], "nowhere"),
        (["query=x", "--url", "http://127.0.0.1:1"], "is `kennel up` running there?"),
    ],
)
def test_what_goes_wrong_is_one_line(command: Run, trains: str, arguments: list[str], problem: str) -> None:
    done = command("submit", trains, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kennel: ")
    assert done.stderr.count("\n") == 1
    assert problem in done.stderr


def test_a_failed_execution_is_exit_code_1(command: Run, client: httpx.Client) -> None:
    done = command("submit", retriever(client, failing()), "--wait")
    assert done.returncode == 1
    assert "failed: " in done.stdout
    assert "this stage always fails" in done.stdout


def test_one_that_has_not_ended_in_time_is_exit_code_2(
    command: Run, service: Stack, client: httpx.Client
) -> None:
    closed = unique("closed")
    name = retriever(client, gate(closed))
    execution_id = command("submit", name).stdout.split()[0]
    late = command("poll", name, execution_id, "--timeout", "0.1")
    assert late.returncode == 2
    assert "has not ended in time" in late.stderr
    service.open(closed)
    polled = command("poll", name, execution_id)
    assert polled.returncode == 0
    assert f"{execution_id} completed" in polled.stdout.splitlines()


def test_list_shows_the_newest_of_a_status(command: Run, client: httpx.Client) -> None:
    name = retriever(client, failing())
    ids = [command("submit", name, "--wait").stdout.split()[0] for _ in range(2)]
    header, *rows = command("list", name, "--status", "failed").stdout.splitlines()
    assert header.split()[:2] == ["execution", "status"]
    assert [row.split()[:2] for row in rows] == [[execution_id, "failed"] for execution_id in ids[::-1]]
    assert command("list", name, "--status", "completed", "--json").stdout == ""


def test_retrievers(command: Run, tmp_path: Path, books: str) -> None:
    name = unique("mine")
    definition = {"retriever_name": name, "stages": [search()], "collection_identifiers": [books]}
    (tmp_path / "mine.json").write_text(json.dumps(definition))
    created = command("retrievers", "create", "mine.json")
    assert created.stdout.endswith(f"{name} is created\n")
    assert "choose another name" in command("retrievers", "create", "-", stdin=json.dumps(definition)).stderr
    assert name in command("retrievers", "list", "--search", name).stdout
    assert json.loads(command("retrievers", "show", name).stdout)["retriever_name"] == name
    refused = command("retrievers", "delete", name, stdin="n\n")
    assert refused.returncode == 1
    assert command("retrievers", "delete", name, "--yes").returncode == 0
    assert command("retrievers", "show", name).returncode == 2


def test_collections(command: Run) -> None:
    name = unique("shelf")
    assert command("collections", "create", name, "--embed", "title", "--embed", "text").returncode == 0
    shown = json.loads(command("collections", "show", name).stdout)
    assert shown["feature_extractor"]["input_mappings"] == {"text": ["title", "text"]}
    assert json.loads(command("collections", "list", "--search", name, "--json").stdout)[
        "collection_name"
    ] == (name)
    assert command("collections", "delete", name, "--yes").returncode == 0
    assert command("collections", "show", name).returncode == 2


def test_load_creates_the_collection_and_doubles_nothing(command: Run, tmp_path: Path) -> None:
    name = unique("loaded")
    rows = [{"text": f"train {n}", "year": 1970 + n} for n in range(25)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        loaded = command("load", "rows.jsonl", "-c", name, "--create", "--batch-size", "10", "--json")
        assert json.loads(loaded.stdout) == {"collection": name, "stored": 25}
    assert json.loads(command("collections", "show", name).stdout)["document_count"] == 25


def test_load_of_csv_takes_ids_and_numbers(command: Run, tmp_path: Path, client: httpx.Client) -> None:
    name = unique("loaded")
    (tmp_path / "rows.csv").write_text("isbn,title,year\n0017,Trains,1971\n0018,Planes,\n")
    assert command("load", "rows.csv", "-c", name, "--create", "--id-field", "isbn").returncode == 0
    document = client.get(f"/collections/{name}/documents/0017").json()
    assert (document["isbn"], document["year"]) == ("0017", 1971)
    assert "year" not in client.get(f"/collections/{name}/documents/0018").json()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('{"a": 1}\n{"a": \n', "rows.jsonl line 2: not JSON"),
        ('{"a": 1}\n{"document_id": "x", "payload": {}, "vectors": 7}\n', "rows.jsonl line 2: documents[1]"),
    ],
)
def test_load_names_the_line_that_is_wrong(command: Run, tmp_path: Path, lines: str, problem: str) -> None:
    (tmp_path / "rows.jsonl").write_text(lines)
    done = command("load", "rows.jsonl", "-c", unique("loaded"), "--create")
    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_load_into_a_collection_that_is_not_there_says_so(command: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    done = command("load", "rows.jsonl", "-c", "nowhere")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
