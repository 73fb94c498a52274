"""The summary of an execution: its line in the history, and once it has ended its tombstone."""

from __future__ import annotations

from shared.clock import iso


def summary_line(execution_id: str, stored: bytes) -> bytes:
    """The JSON that answers show, from the stored form (`summary_of` in shared/lua/record.lua).

    The stored form leaves out all that is the same in each; one key of it is kept per execution for weeks.
    """
    retriever_id, status, created_ms, completed_ms, duration_ms, stages_completed, members = stored.split(
        b" ", 6
    )
    completed = b"null" if completed_ms == b"-" else b'"%s"' % iso(int(completed_ms)).encode()
    return (
        b'{"execution_id":"%s","retriever_id":"%s","status":"%s","created_at":"%s","completed_at":%s,'
        b'"duration_ms":%s,"stages_completed":%s,"cache_hit_rate":0.0,%s}'
    ) % (
        execution_id.encode(),
        retriever_id,
        status,
        iso(int(created_ms)).encode(),
        completed,
        duration_ms,
        stages_completed,
        members,
    )
