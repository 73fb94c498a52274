"""What a channel is told of an alert that fired. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.alerts.rule import Finding
from shared.models.alert import Alert
from shared.models.alert_run import AlertRun
from shared.models.execution import Claim

EVENT_TYPE = "alert.triggered"
MATCHES_MAX_BYTES = 256_000  # of the matches as JSON, in a record and in each delivery


def event_id(execution_id: str) -> str:
    """One for each evaluation, as shared/lua/deliveries.lua makes it: a receiver knows a repeat by it."""
    return "evt_" + execution_id.removeprefix("exec_")


def shown_matches(alert: Alert, finding: Finding) -> list[Mapping[str, Any]]:
    """The first matches, as many as there is room for; none where the alert leaves them out."""
    shown: list[Mapping[str, Any]] = []
    room_bytes = MATCHES_MAX_BYTES if alert.include_matches else 0
    for match in finding.matches:
        room_bytes -= len(orjson.dumps(match))
        if room_bytes < 0:
            break
        shown.append(match)
    return shown


def payload(
    alert: Alert, claim: Claim, run: AlertRun, finding: Finding, status: str, *, at: str, took_ms: int
) -> bytes:
    """The event: the evaluation as the API answers it, with whose it is.

    Args:
        at: when it was evaluated (ISO 8601). status: of the execution. took_ms: its run time.
    """
    body: dict[str, Any] = {
        "event_id": event_id(claim.execution_id),
        "event_type": EVENT_TYPE,
        "timestamp": at,
        "namespace_id": claim.namespace_id,
        "resource_type": "alert",
        "resource_id": alert.alert_id,
        "alert_id": alert.alert_id,
        "alert_name": alert.name,
        "collection_id": run.collection_id,
        "execution_id": claim.execution_id,
        "status": status,
        "error": None,
        "triggered": True,
        "match_count": finding.match_count,
        "matches": _told(alert, shown_matches(alert, finding)),
        "measured": finding.measured,
        "source_documents": run.source_documents,
        "executed_at": at,
        "duration_ms": took_ms,
    }
    return orjson.dumps(body)


def _told(alert: Alert, matches: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if alert.include_scores:
        return list(matches)
    return [{name: value for name, value in match.items() if name != "score"} for match in matches]
