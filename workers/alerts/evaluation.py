"""What a run means for the alert that it evaluates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Literal

import orjson

from shared.alerts import notice, rule
from shared.clock import utc_now_iso
from shared.errors import Unavailable
from shared.logs import log_event
from shared.models.alert import Alert, Mode, SystemCondition
from shared.models.alert_run import AlertRun, Evaluation
from shared.models.channel import TIMEOUT_MAX_S, channels_from_json
from shared.models.delivery import Lane
from shared.models.execution import Claim, Status
from shared.stores.alert_reading import AlertReader
from shared.stores.ledger import Outcome
from shared.stores.webhooks import lanes_of
from shared.vault import Vault
from workers.alerts.metrics import SystemMetrics

log = logging.getLogger("kennel.alerts")


class AlertEvaluator:
    """One per process; safe to share between threads."""

    def __init__(self, alerts: AlertReader, metrics: SystemMetrics, vault: Vault) -> None:
        self._alerts = alerts
        self._metrics = metrics
        self._vault = vault

    def evaluated(self, claim: Claim, run: AlertRun, outcome: Outcome, *, took_ms: int) -> Outcome:
        """The outcome with what it says of the alert; nothing when it failed, or the alert is gone.

        Raises:
            Unavailable: Redis was away for long.
        """
        if outcome.status == Status.FAILED:
            return outcome
        alert = self._alerts.find([run.alert_id]).get(run.alert_id)
        if alert is None:
            log_event(log, "alert.gone", execution_id=claim.execution_id, alert_id=run.alert_id)
            return outcome
        finding, mark = self._finding(alert, claim, run, outcome)
        evaluation = self._evaluation(alert, claim, run, finding, outcome, took_ms)
        return replace(
            outcome,
            figures=outcome.figures + b"," + orjson.dumps(finding.figures())[1:-1],
            evaluation=replace(evaluation, mark=mark),
        )

    def _finding(
        self, alert: Alert, claim: Claim, run: AlertRun, outcome: Outcome
    ) -> tuple[rule.Finding, str]:
        """And the mark of the metric, if the alert watches one."""
        if run.condition is None:
            is_whole = outcome.status == Status.COMPLETED
            return rule.evaluate(alert, result_rows(outcome), is_whole=is_whole), ""
        condition = SystemCondition.model_validate(run.condition)
        seen = self._metrics.measure(alert.alert_id, condition, claim.namespace_id)
        return rule.Finding(seen.holds, 0, measured=seen.measured), seen.mark

    def _evaluation(
        self, alert: Alert, claim: Claim, run: AlertRun, finding: rule.Finding, outcome: Outcome, took_ms: int
    ) -> Evaluation:
        stored = {**asdict(finding), "matches": notice.shown_matches(alert, finding)}
        return Evaluation(
            finding=orjson.dumps(stored),
            holds=finding.triggered,
            kind=_kind(alert, run),
            source=run.collection_id,
            cooldown_s=alert.cooldown_seconds,
            renotify_s=alert.renotify_interval_seconds,
            payload=notice.payload(
                alert, claim, run, finding, outcome.status, at=utc_now_iso(), took_ms=took_ms
            ),
            lanes=self._lanes(alert),
        )

    def _lanes(self, alert: Alert) -> list[tuple[str, int]]:
        try:
            channels = channels_from_json(self._vault.unseal(alert.sealed_channels))
        except Unavailable as error:  # the deliveries wait for the key; the evaluation need not
            log_event(log, "alert.channels_unreadable", level=logging.ERROR, error=error.message,
                      alert_id=alert.alert_id)  # fmt: skip
            count = len(alert.channel_types)
            return [(str(Lane(alert.alert_id, each)), round(TIMEOUT_MAX_S * 1000)) for each in range(count)]
        return lanes_of(alert.alert_id, channels)


def _kind(alert: Alert, run: AlertRun) -> Literal["event", "level", "silent"]:
    if not alert.enabled:
        return "silent"
    return "event" if run.mode == Mode.ON_INGEST else "level"


def result_rows(outcome: Outcome) -> Sequence[dict[str, Any]]:
    """All documents of a result: beside the detail when they are more than a page, else in it."""
    if outcome.documents:
        return [orjson.loads(row) for row in outcome.documents]
    rows: list[dict[str, Any]] = orjson.loads(b"{" + outcome.detail[1:])["documents"]
    return rows
