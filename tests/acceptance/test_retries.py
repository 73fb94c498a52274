"""A service that is away for a while fails no execution; one that stays away fails it with the reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.contract.check import check_execution
from tests.contract.scenes import BY_YEAR, book, document_ids, failing, keep, stage, unique, write
from tests.stack import Stack, create_retriever, ended, execute, kill, poll_until

pytestmark = pytest.mark.timeout(120)
RECENT = keep("year", "gte", 1990)
SOON = {"KENNEL_RETRY_FIRST_MS": "100", "KENNEL_RETRY_MAX_MS": "200"}
LATE = {"KENNEL_RETRY_FIRST_MS": "60000", "KENNEL_RETRY_MAX_MS": "60000"}


@pytest.fixture(scope="module")
def client(kennel: Stack) -> Iterator[httpx.Client]:
    with worker(kennel):
        pass  # it has published the catalogue
    with kennel.namespace("retries") as client:
        client.post("/collections", json={"collection_name": "books"}).raise_for_status()
        write(client, "books", [book(number) for number in range(45)])
        yield client


@contextmanager
def worker(kennel: Stack, **environment: str) -> Iterator[None]:
    process = kennel.start_worker(unique("retries"), **environment)
    try:
        yield
    finally:
        kill(process)


class _Service(BaseHTTPRequestHandler):
    answers: list[int]

    def do_GET(self) -> None:
        answers = self.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def service(*answers: int) -> Iterator[str]:
    """URL of a service that answers with these statuses, the last one for ever."""
    handler = type("Service", (_Service,), {"answers": list(answers)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def call(url: str, **over: Any) -> dict[str, Any]:
    return stage("call", "test_call", over, url=url)


def waiting(client: httpx.Client, made: str, execution_id: str) -> dict[str, Any]:
    return poll_until(
        client, made, execution_id, lambda e: e["wait_reason"] == "retry_backoff", "a wait for another try"
    )


def test_a_stage_is_tried_again_until_its_service_answers(kennel: Stack, client: httpx.Client) -> None:
    with service(503, 429, 200) as url, worker(kennel, **SOON):
        made = create_retriever(client, unique("retried"), [RECENT, BY_YEAR, call(url)])
        last = poll_until(client, made, execution_id := execute(client, made), ended, "the end")
    check_execution(last)
    assert (last["status"], last["attempt"], last["resumed_from_stage"]) == ("completed", 3, "call")
    assert (last["wait_reason"], last["retry_at"], last["is_partial"]) == (None, None, False)
    assert kennel.starts(execution_id) == ["call"] * 3
    entries = last["stage_statistics"]["stages"]
    assert list(entries) == ["keep", "sort", "call"]
    paid = sum(0.01 + 0.0001 * entry["input_count"] for entry in entries.values())
    assert last["stage_statistics"]["credits_used"] == pytest.approx(paid)


def test_while_it_waits_it_says_so_and_can_be_read_and_cancelled(kennel: Stack, client: httpx.Client) -> None:
    with service(503) as url, worker(kennel, **LATE):
        made = create_retriever(client, unique("waiting"), [RECENT, BY_YEAR, call(url)])
        seen = waiting(client, made, execution_id := execute(client, made))
        check_execution(seen)
        assert (seen["status"], seen["attempt"], seen["stages_completed"]) == ("pending", 1, 2)
        assert seen["retry_at"] > seen["started_at"]
        assert seen["warnings"] == [
            "attempt 1: stage 'call' (index 2, test_call) failed: a service answers 503; it is tried again"
        ]
        assert (seen["is_partial"], seen["partial_from_stage"]) == (True, "sort")
        assert len(seen["documents"]) == 20
        answer = client.post(f"/retrievers/{made}/executions/{execution_id}/cancel").json()
    last = client.get(f"/retrievers/{made}/executions/{execution_id}").json()
    check_execution(last)
    assert answer["outcome"] == "removed_from_queue"
    assert (last["status"], last["wait_reason"], last["retry_at"]) == ("cancelled", None, None)
    assert document_ids(last) == document_ids(seen)
    assert kennel.starts(execution_id) == ["call"]


def test_a_service_that_stays_away_fails_it_with_the_reason(kennel: Stack, client: httpx.Client) -> None:
    with service(503) as url, worker(kennel, **SOON, KENNEL_RETRIES_MAX="2"):
        made = create_retriever(client, unique("away"), [call(url)])
        last = poll_until(client, made, execution_id := execute(client, made), ended, "the failure")
    assert (last["status"], last["attempt"]) == ("failed", 3)
    assert last["error"] == (
        "stage 'call' (index 0, test_call) failed: a service answers 503; given up after 3 attempts"
    )
    assert kennel.starts(execution_id) == ["call"] * 3


def test_what_would_fail_again_is_not_tried_again(kennel: Stack, client: httpx.Client) -> None:
    with service(404) as url, worker(kennel, **SOON):
        refused = create_retriever(client, unique("refused"), [call(url)])
        broken = create_retriever(client, unique("broken"), [failing()])
        for made in (refused, broken):
            last = poll_until(client, made, execute(client, made), ended, "the failure")
            assert (last["status"], last["attempt"]) == ("failed", 1)
