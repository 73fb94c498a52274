"""How a client follows an execution: stage by stage, by held polls, by ETag, by preference."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from shared.redis_sync import connect
from shared.stores.api_keys import create_key
from tests.contract.check import check_execution
from tests.contract.scenes import (
    busy,
    document_ids,
    failing,
    keep,
    post_execute,
    read,
    retriever,
    run,
    search,
    unique,
)
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """For requests that are held while the test goes on."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Gated:
    """A search between two gates, submitted and waiting at the first."""

    def __init__(self, service: Stack, client: httpx.Client) -> None:
        self._service, self.client = service, client
        self.first, self.second = unique("first"), unique("second")
        self.retriever = retriever(
            client, gate(self.first), search("trains"), gate(self.second), collection_identifiers=["books"]
        )
        self.execution_id = execute(client, self.retriever)
        self.at(self.first)

    def at(self, stage: str) -> None:
        poll_until(
            self.client, self.retriever, self.execution_id, lambda e: e["current_stage"] == stage, stage
        )

    def open(self, gate_name: str) -> None:
        self._service.open(gate_name)

    def read(self, **headers: str) -> httpx.Response:
        return read(self.client, self.retriever, self.execution_id, **headers)

    def finish(self) -> httpx.Response:
        self.open(self.first)
        self.open(self.second)
        poll_until(self.client, self.retriever, self.execution_id, ended, "the end")
        return self.read()


@pytest.fixture
def gated(service: Stack, client: httpx.Client) -> Iterator[Gated]:
    made = Gated(service, client)
    yield made
    made.finish()


def test_progress_stage_by_stage(gated: Gated) -> None:
    at_first = gated.read()
    gated.open(gated.first)
    gated.at(gated.second)
    at_second = gated.read()
    at_end = gated.finish()

    answers = [check_execution(answer.json()) for answer in (at_first, at_second, at_end)]
    assert [answer.status for answer in answers] == ["processing", "processing", "completed"]
    assert [answer.stages_completed for answer in answers] == [0, 2, 3]
    assert [list(answer.stage_statistics.stages) for answer in answers] == [
        [], [gated.first, "search"], [gated.first, "search", gated.second],
    ]  # fmt: skip
    assert answers[1].stage_statistics.stages["search"].output_count == 25
    credits = [answer.budget.credits_used for answer in answers]
    assert credits == sorted(credits) and credits[0] < credits[1] < credits[2]
    revisions = [answer.json()["revision"] for answer in (at_first, at_second, at_end)]
    assert revisions == sorted(set(revisions))
    assert len({answer.headers["etag"] for answer in (at_first, at_second, at_end)}) == 3


def test_polls_between_changes_are_the_same(gated: Gated) -> None:
    first, second = gated.read(), gated.read()
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])
    assert first.headers["retry-after"] == "1"
    assert "retry-after" not in gated.finish().headers


def test_an_unchanged_execution_is_304(gated: Gated) -> None:
    etag = gated.read().headers["etag"]
    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = gated.read(**{"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert gated.read(**{"If-None-Match": '"other"'}).status_code == 200
    gated.open(gated.first)
    gated.at(gated.second)
    assert gated.read(**{"If-None-Match": etag}).status_code == 200


def test_a_held_poll_returns_when_something_changes(gated: Gated, aside: ThreadPoolExecutor) -> None:
    etag = gated.read().headers["etag"]
    answer = aside.submit(gated.read, **{"Prefer": "wait=20", "If-None-Match": etag})
    gated.open(gated.first)
    seen = answer.result(15)
    assert (seen.status_code, seen.headers["preference-applied"]) == (200, "wait=20")
    assert seen.headers["etag"] != etag
    assert seen.json()["status"] == "processing"


def test_a_held_poll_without_etag_returns_at_the_end(gated: Gated, aside: ThreadPoolExecutor) -> None:
    answer = aside.submit(gated.read, Prefer="wait=20")
    gated.open(gated.first)
    gated.at(gated.second)
    assert not answer.done()
    gated.open(gated.second)
    assert answer.result(15).json()["status"] == "completed"


def test_a_held_poll_that_sees_no_change_is_304(gated: Gated) -> None:
    etag = gated.read().headers["etag"]
    answer = gated.read(**{"Prefer": "wait=0.2", "If-None-Match": etag})
    assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=0.2")
    assert gated.read(Prefer="wait=0.2").json()["status"] == "processing"


def test_a_held_poll_of_an_ended_execution_returns_at_once(gated: Gated) -> None:
    etag = gated.finish().headers["etag"]
    assert gated.read(Prefer="wait=60").json()["status"] == "completed"
    assert gated.read(**{"Prefer": "wait=60", "If-None-Match": etag}).status_code == 304


def test_polls_of_a_queued_execution_agree_over_time(service: Stack, client: httpx.Client) -> None:
    """The reason it waits for is part of the ETag; what is remembered of it must not make it flicker."""
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    with busy(service, client):
        execution_id = execute(client, made)
        etag = read(client, made, execution_id).headers["etag"]
        ends_at = time.monotonic() + 1.5  # longer than anything is remembered
        while time.monotonic() < ends_at:
            assert read(client, made, execution_id, **{"If-None-Match": etag}).status_code == 304


def test_execute_can_wait_for_the_end(client: httpx.Client) -> None:
    made = retriever(client, search(), keep("genre", "eq", "poetry"), collection_identifiers=["books"])
    answer = post_execute(client, made, {"inputs": {"query": "trains"}}, Prefer="wait=20")
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=20")
    seen = check_execution(answer.json())
    assert seen.status == "completed" and seen.documents
    again = read(client, made, seen.execution_id)
    assert again.json() == answer.json()
    assert again.headers["etag"] == answer.headers["etag"]


def test_execute_waits_for_a_failure_too(client: httpx.Client) -> None:
    answer = post_execute(client, retriever(client, failing()), Prefer="wait=20")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


def test_execute_stops_waiting_when_the_time_is_over(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name))
    answer = post_execute(client, made, Prefer="wait=0.3")
    assert answer.status_code == 200
    assert not ended(answer.json())
    service.open(name)


def test_respond_async(service: Stack, client: httpx.Client) -> None:
    name = unique("slow")
    made = retriever(client, gate(name))
    answer = post_execute(client, made, Prefer="respond-async")
    execution_id = answer.json()["execution_id"]
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/retrievers/{made}/executions/{execution_id}"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["preference-applied"] == "respond-async"
    check_execution(answer.json())
    service.open(name)
    followed = client.get(f"{service.base_url}{answer.headers['location']}", headers={"Prefer": "wait=20"})
    assert followed.json()["status"] == "completed"


def test_respond_async_with_a_wait_answers_200_once_it_has_ended(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    answer = post_execute(client, made, Prefer="respond-async, wait=20")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.headers["preference-applied"] == "respond-async, wait=20"


def test_a_key_with_a_default_wait_gets_the_result_at_once(service: Stack, client: httpx.Client) -> None:
    """For clients that never poll; a preference of theirs still wins."""
    with connect(service.redis_url) as server:
        secret, _ = create_key(server, unique("waits"), default_wait_s=20)
    made = retriever(client, search("trains"), collection_identifiers=["books"])
    answer = post_execute(client, made, Authorization=f"Bearer {secret}")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert len(document_ids(answer.json())) == 20
    slow = unique("slow")
    in_a_hurry = post_execute(
        client, retriever(client, gate(slow)), Authorization=f"Bearer {secret}", Prefer="wait=0"
    )
    assert in_a_hurry.json()["status"] in ("pending", "processing")
    service.open(slow)


def test_an_execution_of_nothing_ends_too(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    seen = check_execution(run(client, made, collection_identifiers=["books"], filters={"genre": "cooking"}))
    assert (seen.status, seen.documents, seen.pagination.total) == ("completed", [], 0)
