"""Errors that may pass: the execution waits without a worker, and another attempt goes on where it stood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.check import check_execution
from tests.contract.scenes import failing, retriever, unique
from tests.stack import Stack, ended, execute, gate, poll_until

pytestmark = pytest.mark.usefixtures("books")


@pytest.fixture
def away() -> Iterator[str]:
    """Name of a service that is away until it is opened."""
    yield unique("away")


def waits(execution: dict[str, Any]) -> bool:
    return bool(execution["wait_reason"] == "retry_backoff")


def test_it_waits_and_goes_on_where_it_stood(service: Stack, client: httpx.Client, away: str) -> None:
    service.open(before := unique("before"))
    made = retriever(client, gate(before), failing("calls", kind=away))
    execution_id = execute(client, made)
    waiting = poll_until(
        client, made, execution_id, lambda e: e["wait_reason"] == "retry_backoff", "the wait"
    )
    assert (waiting["status"], waiting["attempt"], waiting["partial_from_stage"]) == ("pending", 1, before)
    assert waiting["retry_at"] > waiting["started_at"]
    service.open(away)
    last = poll_until(client, made, execution_id, ended, "the end")
    check_execution(last)
    assert (last["status"], last["attempt"], last["resumed_from_stage"]) == ("completed", 2, "calls")
    assert (last["wait_reason"], "retry_at" in last) == (None, False)
    assert service.starts(execution_id) == [before, "calls", "calls"]


def test_attempts_are_capped_and_the_last_error_is_told(
    service: Stack, client: httpx.Client, away: str
) -> None:
    made = retriever(client, failing("calls", kind=away))
    execution_id = execute(client, made)
    last = poll_until(client, made, execution_id, ended, "the end")
    assert (last["status"], last["attempt"]) == ("failed", 3)
    assert last["error"] == (
        "stage 'calls' (index 0, test_fail) failed: unexpected ConnectionError; the worker's log says where "
        "(attempt 3, the last one)"
    )
    assert service.starts(execution_id) == ["calls"] * 3


def test_what_is_skipped_on_error_is_not_tried_again(service: Stack, client: httpx.Client, away: str) -> None:
    made = retriever(client, failing("calls", kind=away, on_error="skip"))
    last = poll_until(client, made, execution_id := execute(client, made), ended, "the end")
    assert (last["status"], service.starts(execution_id)) == ("degraded", ["calls"])


def test_one_that_waits_can_be_cancelled(service: Stack, client: httpx.Client, away: str) -> None:
    made = retriever(client, failing("calls", kind=away))
    execution_id = execute(client, made)
    poll_until(client, made, execution_id, waits, "the wait")
    answer = client.post(f"/retrievers/{made}/executions/{execution_id}/cancel").json()
    assert answer["outcome"] == "removed_from_queue"
    service.open(away)
    other = retriever(client, failing("calls", kind=away))
    poll_until(client, other, execute(client, other), ended, "another one")
    assert service.starts(execution_id) == ["calls"]
