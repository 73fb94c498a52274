"""The beat of alerts that run on a schedule. Every worker has one; whoever comes first runs what is due."""

from __future__ import annotations

import logging

import orjson

from shared import ids
from shared.alerts.schedule import next_due_ms
from shared.alerts.submission import mapped_inputs, metric_run, retriever_run
from shared.clock import instant_ms, iso
from shared.errors import LimitExceeded, NotFound, Unavailable
from shared.logs import log_event
from shared.models.alert import Alert, Attachment, Mode, attachments_of
from shared.models.alert_run import AlertRun
from shared.stores.alert_reading import AlertReader
from shared.stores.alert_submits import AlertSubmits, DueAlert
from shared.stores.executions import Submission

log = logging.getLogger("kennel.alerts")

LATE_MS = 10_000  # every worker looks every second: so late it is only if none was there


class AlertBeat:
    def __init__(self, alerts: AlertReader, submits: AlertSubmits) -> None:
        self._alerts = alerts
        self._submits = submits

    def sweep(self) -> None:
        """Start what is due; one round trip when nothing is. Raises KennelError, RedisError."""
        now_ms, found = self._submits.due()
        for due in found:
            try:
                self._start(due, now_ms)
            except NotFound as error:
                _tell(due, error.message)
            except (LimitExceeded, Unavailable) as error:  # it stays due
                _tell(due, error.message)
                return

    def _start(self, due: DueAlert, now_ms: int) -> None:
        """Of runs that were missed one is made up for; then it goes on as scheduled."""
        alert = self._alerts.find([due.alert_id]).get(due.alert_id)
        if alert is None or not alert.enabled or alert.schedule is None:
            self._submits.run_due(due, None, None)
            return
        following_ms = next_due_ms(alert.schedule, instant_ms(alert.created_at), max(now_ms, due.due_ms))
        self._submits.run_due(due, following_ms, self._submission(alert, due, now_ms))

    def _submission(self, alert: Alert, due: DueAlert, now_ms: int) -> Submission | None:
        """None, which is logged, where there is nothing to run."""
        run = AlertRun(
            alert.alert_id,
            Mode.SCHEDULED,
            due.collection_id,
            due_at=iso(due.due_ms),
            is_late=now_ms - due.due_ms > LATE_MS,
            condition=alert.system_condition.model_dump() if alert.system_condition else None,
        )
        execution_id = ids.execution_id_of("due", due.member, due.due_ms)
        if alert.system_condition:
            return metric_run(alert, run, execution_id)
        retriever = self._alerts.retriever(alert.retriever_id) if alert.retriever_id else None
        if retriever is None:
            _tell(due, "its retriever is gone")
            return None
        inputs = mapped_inputs(alert, self._attachment(due))
        collection_ids = retriever.collection_ids or self._alerts.collection_ids(alert.namespace_id)
        return retriever_run(retriever, run, inputs, collection_ids, execution_id)

    def _attachment(self, due: DueAlert) -> Attachment | None:
        body = self._alerts.collection(due.collection_id) if due.collection_id else None
        attachments = attachments_of(orjson.loads(body), Mode.SCHEDULED) if body else ()
        return next((each for each in attachments if each.alert_id == due.alert_id), None)


def _tell(due: DueAlert, error: str) -> None:
    log_event(log, "alert.not_run", level=logging.WARNING, alert_id=due.alert_id,
              collection_id=due.collection_id, error=error)  # fmt: skip
