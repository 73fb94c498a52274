"""What the client asks, and what it makes of the answers, against a scripted server."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from client import Execution, ExecutionFailed, InvalidInput, NotConfigured, NotFound, Timeouts, WaitTimeout
from client.transport import Transport
from shared.models.execution import Status
from tests.unit.client.fake_server import Reply, at, execution, fake_server, refusal

NOW = Execution.of(execution("pending", 1), '"1"')


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Durations that the client would have slept (s)."""
    slept: list[float] = []

    def sleep(self: Transport, duration_s: float) -> bool:
        slept.append(duration_s)
        return True

    monkeypatch.setattr(Transport, "sleep", sleep)
    return slept


def test_a_submit_asks_for_no_wait_unless_told() -> None:
    """Else a key with a default wait would hold each submit."""
    with fake_server(at(1), at(1)) as server, server.client() as kennel:
        kennel.submit("books", {"query": "x"}, limit=3)
        kennel.submit("books", wait_s=2.5, idempotency_key="mine")
    first, second = server.asked
    assert (first.path, first.headers["Prefer"]) == ("/v1/retrievers/books/execute", "wait=0")
    assert first.body == {"inputs": {"query": "x"}, "limit": 3}
    assert (second.headers["Prefer"], second.headers["Idempotency-Key"]) == ("wait=2.5", "mine")
    assert second.body == {"inputs": {}}


def test_a_poll_yields_each_change_to_the_end(sleeps: list[float]) -> None:
    unchanged = Reply(304, headers={"Retry-After": "1"})
    no_events = refusal(404)  # of an older server
    replies = (no_events, at(2, current_stage="search"), unchanged, at(3, "completed"))
    with fake_server(*replies) as server, server.client() as kennel:
        seen = [(each.revision, each.current_stage) for each in kennel.poll(NOW)]
    assert seen == [(1, None), (2, "search"), (3, None)]
    asked = server.asked[1:]
    assert [each.headers["If-None-Match"] for each in asked] == ['"1"', '"2"', '"2"']
    assert {each.headers["Prefer"] for each in asked} == {"wait=30.000"}


def test_a_poll_of_one_that_has_ended_asks_nothing() -> None:
    ended = Execution.of(execution("failed", 4), '"4"')
    with fake_server() as server, server.client() as kennel:
        assert list(kennel.poll(ended)) == [ended]
        assert server.asked == []


def test_a_wait_that_is_not_held_asks_again_after_retry_after(sleeps: list[float]) -> None:
    """The server ends a wait early when no worker is online."""
    no_worker = Reply(200, execution("pending", 1), {"ETag": '"1"', "Retry-After": "5"})
    with fake_server(no_worker, at(2, "completed")) as server, server.client() as kennel:
        assert kennel.wait(NOW).status is Status.COMPLETED
    assert sleeps == [5.0]
    assert "If-None-Match" not in server.asked[0].headers


def test_a_wait_is_over_in_time() -> None:
    with fake_server() as server, server.client() as kennel:
        with pytest.raises(WaitTimeout, match="exec_1 has not ended in time, it is pending") as raised:
            kennel.wait(NOW, timeout_s=0)
        assert raised.value.execution is NOW
        assert server.asked == []


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_ends_badly_raises(status: str) -> None:
    reply = at(2, status, error="stage one: no luck")
    with fake_server(reply) as server, server.client() as kennel:
        with pytest.raises(ExecutionFailed, match=f"exec_1 {status}: stage one: no luck") as raised:
            kennel.run("books")
        assert raised.value.execution.status == status
        assert server.asked[0].headers["Prefer"] == "wait=30"


def test_a_degraded_run_has_a_result() -> None:
    with fake_server(at(2, "degraded")) as server, server.client() as kennel:
        assert kennel.run("books").has_result


def test_map_goes_on_after_an_error() -> None:
    replies = (at(1, "completed"), refusal(422, "inputs.query: missing"), at(2, "failed"), at(1, "completed"))
    with fake_server(*replies) as server, server.client() as kennel:
        outcomes = list(kennel.map("books", [{"n": n} for n in range(4)], concurrency=1))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        InvalidInput,
        ExecutionFailed,
        type(None),
    ]
    assert [outcome.execution is None for outcome in outcomes] == [False, True, False, False]
    assert outcomes[1].inputs == {"n": 1}


def test_map_ends_with_an_error_if_asked() -> None:
    replies = (at(1, "completed"), refusal(422, "inputs.query: missing"))
    with fake_server(*replies) as server, server.client() as kennel:
        outcomes = kennel.map("books", itertools.repeat({}), concurrency=1, raise_errors=True)
        assert next(outcomes).error is None
        with pytest.raises(InvalidInput):
            next(outcomes)


def test_a_list_follows_its_cursor_only_as_far_as_it_is_read() -> None:
    def page(numbers: range, cursor: str | None) -> Reply:
        results = [_summary(f"exec_{number}") for number in numbers]
        return Reply(200, {"results": results, "pagination": {"next_cursor": cursor}})

    with fake_server(page(range(2), "more"), page(range(2, 4), None)) as server, server.client() as kennel:
        found = kennel.list_executions("books", status="completed", page_size=2)
        assert [next(found).execution_id for _ in range(2)] == ["exec_0", "exec_1"]
        assert len(server.asked) == 1
        assert [each.execution_id for each in found] == ["exec_2", "exec_3"]
    assert [asked.body for asked in server.asked] == [
        {"status": "completed", "limit": 2},
        {"status": "completed", "limit": 2, "cursor": "more"},
    ]


def test_pages_follow_the_cursor_of_one_execution() -> None:
    second = execution(documents=[{"document_id": "b"}], pagination={"cursor": None})
    first = Execution.of(execution(documents=[{"document_id": "a"}], pagination={"cursor": "c&d"}), "")
    with fake_server(Reply(200, second)) as server, server.client() as kennel:
        pages = [page.documents for page in kennel.pages(first)]
    assert pages == [[{"document_id": "a"}], [{"document_id": "b"}]]
    assert server.asked[0].path == "/v1/retrievers/ret_1/executions/exec_1?cursor=c%26d"


def test_a_cancel_says_what_it_came_to() -> None:
    body = {"execution_id": "exec_1", "status": "processing", "outcome": "stopping", "stops_after": "search"}
    with fake_server(Reply(200, body)) as server, server.client() as kennel:
        cancelled = kennel.cancel("books", "exec_1")
    assert (cancelled.status, cancelled.outcome, cancelled.stops_after) == (
        Status.PROCESSING,
        "stopping",
        "search",
    )
    assert (server.asked[0].method, server.asked[0].path) == (
        "POST",
        "/v1/retrievers/books/executions/exec_1/cancel",
    )


def test_documents_are_stored_in_batches() -> None:
    def stored(*ids: str) -> Reply:
        return Reply(200, {"inserted": len(ids), "document_ids": ids, "warnings": []})

    documents = [{"document_id": f"doc_{number}", "payload": {}} for number in range(3)]
    batches: list[int] = []
    with fake_server(stored("doc_0", "doc_1"), stored("doc_2")) as server, server.client() as kennel:
        count = kennel.documents.upsert_all(
            "books", documents, batch_size=2, on_batch=lambda batch: batches.append(len(batch.document_ids))
        )
    assert (count, batches) == (3, [2, 1])
    assert [asked.body["documents"] for asked in server.asked] == [documents[:2], documents[2:]]
    assert server.asked[0].path == "/v1/namespaces/ns/documents/upsert"


@pytest.mark.parametrize("batch_size", [0, 1_001])
def test_a_batch_size_out_of_range_is_refused(batch_size: int) -> None:
    with (
        fake_server() as server,
        server.client() as kennel,
        pytest.raises(NotConfigured, match=f"batch_size is {batch_size}"),
    ):
        kennel.documents.upsert_all("books", [], batch_size=batch_size)


def test_documents_need_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KENNEL_NAMESPACE", raising=False)
    with (
        fake_server() as server,
        server.client(namespace=None) as kennel,
        pytest.raises(NotConfigured, match="set KENNEL_NAMESPACE"),
    ):
        kennel.documents.upsert("books", [])


def test_resources_are_listed_page_by_page() -> None:
    def page(name: str, cursor: str | None) -> Reply:
        body = {"collection_id": f"col_{name}", "collection_name": name, "created_at": "now"}
        return Reply(200, {"results": [body], "pagination": {"next_cursor": cursor}})

    with fake_server(page("a", "more"), page("b", None)) as server, server.client() as kennel:
        assert [each.name for each in kennel.collections.list("part")] == ["a", "b"]
    assert server.asked[0].body == {"search": "part", "limit": 100}


def test_a_delete_of_what_is_not_there_says_so() -> None:
    with fake_server(refusal(404)) as server, server.client(timeouts=Timeouts(retry_s=0)) as kennel:
        with pytest.raises(NotFound):
            kennel.retrievers.delete("books")
        assert server.asked[0].method == "DELETE"


def _summary(execution_id: str) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "status": "completed",
        "created_at": "now",
        "completed_at": "now",
        "duration_ms": 1,
        "total_returned": 0,
        "query_summary": None,
    }
