"""The execution that evaluates an alert, ready to be submitted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared import ids
from shared.alerts.rule import MATCHES_MAX, at_path
from shared.errors import InvalidInput
from shared.models.alert import Alert, Attachment
from shared.models.alert_run import AlertRun
from shared.models.execution import Budget, Detail, ExecutionRequest, Page, figures, pagination_of
from shared.models.resource import RetrieverRecord
from shared.stores.executions import Submission
from shared.submission import members, submission_of, submit_plan

_PAGE = Page(size=MATCHES_MAX)


def mapped_inputs(
    alert: Alert, attachment: Attachment | None, document: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The alert's inputs, overridden by the mapped ones; what the document does not have overrides none."""
    inputs = dict(alert.inputs)
    for each in attachment.input_mappings if attachment else ():
        value = each.value if each.source_type == "constant" else at_path(document, each.path or "")
        if value is not None:
            inputs[each.input_key] = value
    return inputs


def retriever_run(
    retriever: RetrieverRecord,
    run: AlertRun,
    inputs: Mapping[str, Any],
    collection_ids: Sequence[str],
    execution_id: str,
    *,
    write_token: str | None = None,
) -> Submission:
    """A run of the alert's retriever. One whose inputs do not fit is submitted too: it fails, and says why.

    Args:
        collection_ids: what it searches. write_token: of the write that it must see.
    """
    plan = submit_plan(retriever)
    checked = dict(inputs)
    try:
        checked = plan.validate(inputs)
    except InvalidInput as error:
        run = run.with_problem(f"the inputs do not fit the retriever: {error.message}")
    request = ExecutionRequest(
        inputs=checked,
        collection_ids=collection_ids,
        page=_PAGE,
        interpretation=plan.interpretation(inputs, checked),
        write_token=write_token,
    )
    return _of_alert(submission_of(retriever, request, execution_id), run)


def metric_run(alert: Alert, run: AlertRun, execution_id: str) -> Submission:
    """A look at a metric of Kennel: an execution without a retriever, as those are that run ad hoc."""
    assert alert.system_condition is not None
    condition = alert.system_condition.type
    identity = {"retriever_id": "", "retriever_name": "", "execution_mode": "system", "total_stages": 0}
    request = ExecutionRequest(inputs={}, collection_ids=[])
    detail = Detail(Budget().report(0.0, 0.0), pagination_of(request.page, 0, 0, None))
    submission = Submission(
        execution_id=execution_id,
        namespace_id=alert.namespace_id,
        retriever_id=ids.adhoc_retriever_id(alert.namespace_id),
        version=1,
        request=request.to_json(),
        head=b'{"execution_id":"%s",%s' % (execution_id.encode(), members(identity)),
        detail=detail.to_json(),
        first_stage=orjson.dumps(condition),
        shadow=orjson.dumps(f"{condition}@{alert.namespace_id}")[1:-1],
        figures=figures(),
        about=members({"query_summary": None}),
        collection_ids=(),
        definition=b"{}",
    )
    return _of_alert(submission, run)


def _of_alert(submission: Submission, run: AlertRun) -> Submission:
    submission.alert_id, submission.alert = run.alert_id, run.to_json()
    return submission
