"""Events of executions as they happen: on execute, and for whoever comes later or comes back."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from shared import keys
from shared.redis_sync import connect
from tests.contract.check import check_error, check_execution
from tests.contract.scenes import BY_YEAR, expire, failing, read, retriever, run, search, unique
from tests.events import Event, executing, following
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


def events_path(made: str, execution_id: str) -> str:
    return f"/retrievers/{made}/executions/{execution_id}/events"


class Gated:
    """A search behind a gate, then a sort; submitted, and waiting at the gate."""

    def __init__(self, service: Stack, client: httpx.Client) -> None:
        self._service, self._client = service, client
        self.gate = unique("gate")
        self.retriever = retriever(client, search("trains"), gate(self.gate), BY_YEAR)
        self.execution_id = execute(client, self.retriever)
        poll_until(client, self.retriever, self.execution_id, self._is_waiting, "the gate")
        self.path = events_path(self.retriever, self.execution_id)

    def _is_waiting(self, seen: dict[str, object]) -> bool:
        return seen["current_stage"] == self.gate

    def open(self) -> None:
        self._service.open(self.gate)


@pytest.fixture
def gated(service: Stack, client: httpx.Client) -> Iterator[Gated]:
    made = Gated(service, client)
    yield made
    made.open()
    poll_until(client, made.retriever, made.execution_id, ended, "the end")


def test_an_execute_that_streams_tells_everything(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), BY_YEAR, collection_identifiers=["books"])
    with executing(client, f"/retrievers/{made}/execute", limit=5) as (answer, events):
        seen = list(events)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert [event.brief for event in seen] == [
        ("execution_status", "pending"),
        ("execution_status", "processing"),
        ("stage_start", "search"),
        ("stage_complete", "search"),
        ("stage_start", "sort"),
        ("stage_complete", "sort"),
        ("execution_complete", "completed"),
    ]
    execution_id = seen[-1].data["execution_id"]
    assert answer.headers["location"] == f"/v1/retrievers/{made}/executions/{execution_id}"
    assert {(event.data["execution_id"], event.data["total_stages"]) for event in seen} == {(execution_id, 2)}
    searched, sorted_, end = seen[3].data, seen[5].data, seen[-1].data
    assert (searched["stage_index"], searched["statistics"]["output_count"]) == (0, 25)
    assert (len(searched["documents"]), len(sorted_["documents"])) == (5, 5)
    assert sorted_["budget_used"]["credits_used"] == end["budget"]["credits_used"]
    assert sorted_["documents"] == end["documents"]
    check_execution({name: value for name, value in end.items() if name != "event_type"})
    assert read(client, made, execution_id).json() == {
        name: value for name, value in end.items() if name != "event_type"
    }


def test_ids_grow_and_the_last_one_is_end(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    with executing(client, f"/retrievers/{made}/execute") as (_, events):
        ids = [event.event_id for event in events]
    order = [tuple(map(int, each.split("-"))) for each in ids[:-1]]
    assert order == sorted(set(order))
    assert ids[-1] == "end"


def test_an_adhoc_execution_streams_too(client: httpx.Client) -> None:
    with executing(client, "/retrievers/execute", stages=[search("trains")]) as (answer, events):
        seen = list(events)
    assert answer.headers["x-execution-mode"] == "adhoc"
    assert seen[-1].type == "execution_complete"
    path = f"/retrievers/executions/{seen[-1].data['execution_id']}/events"
    with following(client, path) as again:
        assert list(again) == seen


def test_a_failure_ends_with_its_error(client: httpx.Client) -> None:
    made = retriever(client, search("trains"), failing())
    with executing(client, f"/retrievers/{made}/execute") as (_, events):
        seen = list(events)
    assert [event.type for event in seen[-2:]] == ["stage_error", "execution_error"]
    assert seen[-1].data["status"] == "failed"
    assert seen[-2].data["error"] == seen[-1].data["error"]
    assert "this stage always fails" in seen[-1].data["error"]


@pytest.mark.parametrize("body", [{"inputs": 1}, {"stream": "yes"}, {"limit": 0}])
def test_what_is_refused_is_an_ordinary_error(client: httpx.Client, body: dict[str, object]) -> None:
    made = retriever(client, search("trains"))
    check_error(client.post(f"/retrievers/{made}/execute", json={"stream": True, **body}), 422)


def test_a_further_page_is_no_stream(client: httpx.Client) -> None:
    made = retriever(client, BY_YEAR, collection_identifiers=["books"])
    cursor = run(client, made)["pagination"]["cursor"]
    body = {"stream": True, "pagination": {"method": "cursor", "cursor": cursor}}
    refused = check_error(client.post(f"/retrievers/{made}/execute", json=body), 422)
    assert "stream" in refused.error.message


def test_whoever_comes_later_begins_with_what_is(gated: Gated, client: httpx.Client) -> None:
    with following(client, gated.path) as events:
        first = next(events)
        gated.open()
        rest = list(events)
    assert first.brief == ("resync", "processing")
    assert (first.data["current_stage"], list(first.data["stage_statistics"]["stages"])) == (
        gated.gate,
        ["search"],
    )
    assert [event.brief for event in rest] == [
        ("stage_complete", gated.gate),
        ("stage_start", "sort"),
        ("stage_complete", "sort"),
        ("execution_complete", "completed"),
    ]
    assert "documents" not in rest[0].data


def test_a_client_goes_on_where_it_was(gated: Gated, client: httpx.Client) -> None:
    with following(client, gated.path) as events:
        position = next(events).event_id
    gated.open()
    poll_until(client, gated.retriever, gated.execution_id, ended, "the end")
    with following(client, gated.path, position) as events:
        missed = list(events)
    assert [event.type for event in missed] == [
        "stage_complete",
        "stage_start",
        "stage_complete",
        "execution_complete",
    ]
    with following(client, gated.path, missed[1].event_id) as events:
        assert list(events) == missed[2:]


def test_a_past_that_was_trimmed_is_one_resync(gated: Gated, client: httpx.Client, service: Stack) -> None:
    with following(client, gated.path) as events:
        position = next(events).event_id
    newest = position.replace("-0", "-9")
    with connect(service.redis_url) as server:
        server.xadd(keys.events(gated.execution_id), {"type": "stage_start", "members": ""}, id=newest)
        assert server.xtrim(keys.events(gated.execution_id), maxlen=1, approximate=False) == 1
    with following(client, gated.path, position) as events:
        resync = next(events)
        gated.open()
        rest = list(events)
    assert (resync.brief, resync.event_id) == (("resync", "processing"), newest)
    assert [event.type for event in rest][0::3] == ["stage_complete", "execution_complete"]


def test_the_end_is_told_when_all_else_is_gone(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    execution_id = run(client, made)["execution_id"]
    for position in (None, "2-0", "0-0"):
        with following(client, events_path(made, execution_id), position) as events:
            (only,) = list(events)
        assert (only.event_id, only.brief) == ("end", ("execution_complete", "completed"))
        assert only.data["documents"] == read(client, made, execution_id).json()["documents"]


def test_who_has_seen_the_end_is_sent_away(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    path = events_path(made, run(client, made)["execution_id"])
    answer = client.get(path, headers={"Last-Event-ID": "end"})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_cancel_ends_the_stream(gated: Gated, client: httpx.Client) -> None:
    with following(client, gated.path) as events:
        next(events)
        client.post(f"/retrievers/{gated.retriever}/executions/{gated.execution_id}/cancel")
        (last,) = list(events)
    assert last.brief == ("execution_error", "cancelled")


@pytest.mark.parametrize("position", ["x", "1", "1-", "-1-0", "1-0-0", "9" * 30 + "-0"])
def test_a_position_that_is_none_is_refused(client: httpx.Client, position: str) -> None:
    made = retriever(client, search("trains"))
    path = events_path(made, run(client, made)["execution_id"])
    refused = check_error(client.get(path, headers={"Last-Event-ID": position}), 422)
    assert "Last-Event-ID" in refused.error.message


def test_errors_before_the_stream_are_ordinary_ones(client: httpx.Client, service: Stack) -> None:
    made = retriever(client, search("trains"))
    execution_id = run(client, made)["execution_id"]
    check_error(client.get(events_path(made, "exec_unknown")), 404)
    check_error(client.get(f"/retrievers/executions/{execution_id}/events"), 404)
    check_error(client.post(events_path(made, execution_id)), 405)
    with service.namespace(unique("other")) as stranger:
        check_error(stranger.get(events_path(made, execution_id)), 404)
    expire(service, execution_id)
    check_error(client.get(events_path(made, execution_id)), 410)


def test_events_are_json_of_one_line_with_an_id_each(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    with client.stream("POST", f"/retrievers/{made}/execute", json={"stream": True}) as answer:
        blocks = answer.read().decode().removesuffix("\n\n").split("\n\n")
    assert blocks[0] == "retry: 2000"
    for block in blocks[1:]:
        first, second = block.split("\n")
        assert first.startswith("id: ") and second.startswith('data: {"event_type":"')


def test_the_same_idempotency_key_follows_the_same_execution(client: httpx.Client) -> None:
    made = retriever(client, search("trains"))
    path, header = f"/retrievers/{made}/execute", {"Idempotency-Key": unique("key")}

    def once() -> list[Event]:
        with client.stream("POST", path, json={"stream": True}, headers=header) as answer:
            return [Event("", {"text": line}) for line in answer.iter_lines()]

    assert once() == once()
