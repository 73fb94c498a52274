"""The line of the history, from its stored form."""

from __future__ import annotations

import orjson

from shared.models.summary import summary_line

MEMBERS = {"credits_used": 0.02, "query_summary": "two  words"}


def test_of_an_ended_execution() -> None:
    stored = b"ret_1 completed 1700000000123 1700000001000 877 3 " + orjson.dumps(MEMBERS)[1:-1]
    assert orjson.loads(summary_line("exec_1", stored)) == {
        "execution_id": "exec_1",
        "retriever_id": "ret_1",
        "status": "completed",
        "created_at": "2023-11-14T22:13:20.123Z",
        "completed_at": "2023-11-14T22:13:21.000Z",
        "duration_ms": 877,
        "stages_completed": 3,
        "cache_hit_rate": 0.0,
        **MEMBERS,
    }


def test_one_that_has_not_ended_has_no_end() -> None:
    stored = b"ret_1 pending 1700000000123 - 0 0 " + orjson.dumps(MEMBERS)[1:-1]
    assert orjson.loads(summary_line("exec_1", stored))["completed_at"] is None
