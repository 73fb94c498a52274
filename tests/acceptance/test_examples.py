"""Every file of examples/ against a real stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.contract.scenes import search
from tests.stack import API_KEY, Stack, create_retriever

pytestmark = pytest.mark.usefixtures("retriever_of_the_examples")
EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 50


@pytest.fixture(scope="module")
def retriever_of_the_examples(client: httpx.Client, books: str) -> None:
    """What the demo calls so, over the books."""
    create_retriever(
        client,
        "search_python_docs",
        [search(final_top_k="{{INPUT.top_k}}")],
        collection_identifiers=[books],
        input_schema={
            "query": {"type": "string", "required": True},
            "top_k": {"type": "integer", "default": 10},
        },
    )


@pytest.fixture
def environment(service: Stack, client: httpx.Client) -> dict[str, str]:
    return {
        **os.environ,
        "KENNEL_URL": service.base_url,
        "KENNEL_API_KEY": API_KEY,
        "KENNEL_NAMESPACE": client.headers["X-Namespace"],
    }


def run(environment: dict[str, str], name: str, *arguments: str) -> list[str]:
    """What an example printed, in lines."""
    program = [sys.executable] if name.endswith(".py") else []
    done = subprocess.run(
        [*program, str(EXAMPLES / name), *arguments],
        cwd=EXAMPLES.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_submit_and_poll(environment: dict[str, str]) -> None:
    lines = run(environment, "submit_and_poll.py", "trains")
    assert "completed 1/1" in lines
    assert [line.split()[0][:4] for line in lines[-3:]] == ["doc_"] * 3


def test_submit_and_poll_with_curl(environment: dict[str, str]) -> None:
    [line] = run(environment, "submit_and_poll.sh", "trains")
    execution = json.loads(line)
    assert (execution["status"], len(execution["documents"])) == ("completed", 3)


def test_batch_enqueue(environment: dict[str, str]) -> None:
    lines = run(environment, "batch_enqueue.py", "trains", "book", "nothing like it")
    assert lines == [
        "3 executions are in the queue",
        "completed 3 trains",
        "completed 3 book",
        "completed 0 nothing like it",
    ]


def test_batch_enqueue_submits_nothing_twice(environment: dict[str, str], client: httpx.Client) -> None:
    def submitted() -> int:
        answer = client.post("/retrievers/search_python_docs/executions/list", json={})
        total: int = answer.json()["pagination"]["total"]
        return total

    run(environment, "batch_enqueue.py", "twice", "thrice")
    before = submitted()
    run(environment, "batch_enqueue.py", "twice", "thrice", "once")
    assert submitted() == before + 1


def test_mixpeek_client(environment: dict[str, str], service: Stack) -> None:
    with connect(service.redis_url) as redis:
        secret, _ = create_key(redis, "examples", default_wait_s=20)
    lines = run({**environment, "MIXPEEK_API_KEY": secret}, "mixpeek_client.py", "trains")
    assert lines[0] == "completed"
    assert len(lines) == 4


def test_kennel_client(environment: dict[str, str]) -> None:
    lines = run({**environment, "PYTHONPATH": str(EXAMPLES.parent)}, "kennel_client.py")
    assert lines[0].startswith("completed ")
    assert "completed 1/1 " in lines
    assert lines[-3:] == ["0 completed", "1 completed", "2 completed"]


def test_every_example_is_run() -> None:
    mentioned = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")]
    assert names
    assert [name for name in names if f'"{name}"' not in mentioned] == []
