"""Following an execution by its events: what is made of them, and what is done when they break off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from client import Execution, NoAnswer, WaitTimeout
from client.events import Follower, events_of
from shared.models.execution import Status
from tests.unit.client.fake_server import Reply, at, execution, fake_server, refusal

NOW = Execution.of(execution("pending", 1, total_stages=2, wait_reason="queued"), '"1"')
STATISTICS = {"input_count": 3, "output_count": 2, "duration_ms": 1.5, "efficiency": 0.7}


def event(event_id: str, event_type: str, **members: Any) -> bytes:
    data = {"event_type": event_type, "execution_id": "exec_1", "total_stages": 2, **members}
    return b"id: %s\ndata: %s\n\n" % (event_id.encode(), json.dumps(data).encode())


STARTED = event("2-0", "execution_status", status="processing", revision=2, attempt=1, current_stage="a")
A_STARTED = event("2-1", "stage_start", stage_name="a", stage_index=0)
A_ENDED = event("3-0", "stage_complete", stage_name="a", stage_index=0, statistics=STATISTICS)
B_STARTED = event("3-1", "stage_start", stage_name="b", stage_index=1)
B_ENDED = event("5-0", "stage_complete", stage_name="b", stage_index=1, statistics=STATISTICS)
B_FAILED = event("4-0", "stage_error", stage_name="b", stage_index=1, statistics=STATISTICS, error="no")
ENDED = event("end", "execution_complete", **execution("completed", 5, total_stages=2, stages_completed=2))


def stream(*frames: bytes, **over: Any) -> Reply:
    return Reply(200, b"".join(frames), {"Content-Type": "text/event-stream"}, **over)


def seen_of(polled: Any) -> list[tuple[int, str, str | None, int]]:
    return [(each.revision, each.status, each.current_stage, each.stages_completed) for each in polled]


def test_comments_retry_and_line_ends_say_nothing() -> None:
    lines = [b"retry: 2000", b"", b": heartbeat", b"", b"id: 1-0", b'data:{"event_type":"resync"}', b""]
    [only] = events_of(lines)
    assert (only.event_id, only.type, only.revision) == ("1-0", "resync", 1)


def test_one_request_follows_to_the_end() -> None:
    with (
        fake_server(stream(STARTED, A_STARTED, A_ENDED, B_STARTED, B_ENDED, ENDED)) as server,
        server.client() as kennel,
    ):
        polled = list(kennel.poll(NOW))
    assert seen_of(polled) == [
        (1, "pending", None, 0),
        (2, "processing", "a", 0),
        (3, "processing", "b", 1),
        (5, "completed", None, 2),
    ]
    assert [each.wait_reason for each in polled[:2]] == ["queued", None]
    assert [stage.output_count for stage in polled[2].stages] == [2]
    assert [asked.path for asked in server.asked] == ["/v1/retrievers/ret_1/executions/exec_1/events"]
    assert "Last-Event-ID" not in server.asked[0].headers


def test_what_was_known_is_not_told_again() -> None:
    """A stream that was asked for with the submit begins with the submit."""
    known = Execution.of(execution("processing", 3, current_stage="b", stages_completed=1), '"3"')
    with fake_server(stream(STARTED, A_ENDED, B_STARTED, ENDED)) as server, server.client() as kennel:
        assert seen_of(kennel.poll(known)) == [(3, "processing", "b", 1), (5, "completed", None, 2)]


def test_a_stream_that_breaks_off_is_gone_on_with() -> None:
    torn = len(STARTED + A_ENDED) + 20
    replies = (stream(STARTED, A_ENDED, B_STARTED, torn_at=torn), stream(B_STARTED, B_FAILED, ENDED))
    with fake_server(*replies) as server, server.client() as kennel:
        polled = list(kennel.poll(NOW))
    assert [each[0] for each in seen_of(polled)] == [1, 2, 3, 5]
    assert [asked.headers.get("Last-Event-ID") for asked in server.asked] == [None, "3-0"]


def test_a_resync_is_the_whole_execution() -> None:
    whole = event("4-1", "resync", **execution("processing", 4, current_stage="b", stages_completed=1))
    [now, *rest] = Follower(NOW).changes((whole + B_STARTED).split(b"\n"))
    assert (now.revision, now.current_stage, now.etag) == (4, "b", '"4"')
    assert rest == []


def test_a_resync_of_what_is_known_is_no_change() -> None:
    whole = event("1-1", "resync", **execution("pending", 1))
    follower = Follower(NOW)
    assert list(follower.changes(whole.split(b"\n"))) == []
    assert follower.last_event_id == "1-1"


def test_where_no_events_are_served_held_requests_tell_everything() -> None:
    replies = (refusal(429), at(2, current_stage="a"), at(3, current_stage="b"), at(4, "completed"))
    with fake_server(*replies) as server, server.client() as kennel:
        assert [each.revision for each in kennel.poll(NOW)] == [1, 2, 3, 4]
    assert [asked.path.endswith("/events") for asked in server.asked] == [True, False, False, False]


def test_a_server_that_went_away_is_bridged_by_one_held_request() -> None:
    replies = (Reply(cut=True), at(2, current_stage="a"), stream(A_ENDED, B_STARTED, ENDED))
    with fake_server(*replies) as server, server.client() as kennel:
        assert [each.revision for each in kennel.poll(NOW)] == [1, 2, 3, 5]
    assert [asked.path.endswith("/events") for asked in server.asked] == [True, False, True]


def test_what_is_no_event_of_kennel_is_not_believed() -> None:
    with pytest.raises(NoAnswer, match="not Kennel's"):
        list(Follower(NOW).changes([b"data: [1]"]))
    with fake_server(stream(b"data: [1]\n\n"), at(2, "failed")) as server, server.client() as kennel:
        assert [each.status for each in kennel.poll(NOW)] == [Status.PENDING, Status.FAILED]


def test_it_is_over_in_time() -> None:
    with (
        fake_server() as server,
        server.client() as kennel,
        pytest.raises(WaitTimeout, match="exec_1 has not ended in time"),
    ):
        list(kennel.poll(NOW, timeout_s=0))
