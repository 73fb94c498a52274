"""The place of a pending execution among those in front of it, and that it is no change of the execution."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.scenes import busy, keep, post_execute, read, retriever
from tests.stack import Stack, ended, execute, poll_until

pytestmark = pytest.mark.usefixtures("books")


def position(client: httpx.Client, made: str, execution_id: str) -> int | None:
    seen: int | None = read(client, made, execution_id).json()["queue_position"]
    return seen


def test_it_counts_who_is_in_front(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, keep("year", "gt", 1970))
    with busy(service, client):
        answers = [post_execute(client, made).json() for _ in range(3)]
        assert [each["queue_position"] for each in answers] == [1, 2, 3]
        first, second, third = (each["execution_id"] for each in answers)
        assert [position(client, made, each) for each in (first, second, third)] == [1, 2, 3]
        client.post(f"/retrievers/{made}/executions/{first}/cancel")
        assert [position(client, made, each) for each in (first, second, third)] == [None, 1, 2]
    for execution_id in (second, third):
        seen = poll_until(client, made, execution_id, ended, "the end")
        assert (seen["status"], seen["queue_position"]) == ("completed", None)


def test_moving_up_is_no_change(service: Stack, client: httpx.Client) -> None:
    """Else a held poll of a deep queue would answer at every step of it. The tag is weak for that reason."""
    made = retriever(client, keep("year", "gt", 1970))
    with busy(service, client):
        first, second = execute(client, made), execute(client, made)
        before = read(client, made, second)
        assert before.headers["etag"] == 'W/"1-queued"'
        client.post(f"/retrievers/{made}/executions/{first}/cancel")
        known = {"If-None-Match": before.headers["etag"]}
        assert read(client, made, second, **known).status_code == 304
        assert (before.json()["queue_position"], position(client, made, second)) == (2, 1)
    poll_until(client, made, second, ended, "the end")


def test_the_status_and_a_held_answer_tell_it_too(service: Stack, client: httpx.Client) -> None:
    made = retriever(client, keep("year", "gt", 1970))
    with busy(service, client):
        execution_id = execute(client, made)
        status = client.get(f"/retrievers/{made}/executions/{execution_id}/status").json()
        held = read(client, made, execution_id, Prefer="wait=0.1").json()
        submitted = post_execute(client, made, Prefer="wait=0.1").json()
    # A submit that is held is interactive, so it is the first in its own queue.
    assert [each["queue_position"] for each in (status, held, submitted)] == [1, 1, 1]
    for each in (execution_id, submitted["execution_id"]):
        poll_until(client, made, each, ended, "the end")
