"""Executing an alert because somebody asks for it."""

from __future__ import annotations

from typing import Any

from api.context import ApiContext
from api.deps import Access
from api.schemas.alert_executions import AlertExecuteBody, AlertExecution
from api.schemas.execution import ExecuteBody
from api.services.alerts.attachments import attachments_to, retriever_of
from api.services.alerts.executions import alert_execution
from api.services.alerts.rules import check_inputs
from api.services.executions.submit import Idempotency, store
from shared import ids
from shared.errors import Conflict, InvalidInput, NotFound
from shared.models.alert import Alert, Mode
from shared.models.alert_run import AlertRun


async def execute_alert(
    context: ApiContext, access: Access, id_or_name: str, body: AlertExecuteBody, idempotency_key: str | None
) -> AlertExecution:
    """The new execution, pending; or the one that the idempotency key made.

    Raises:
        NotFound: no such alert. Conflict: it is switched off.
        InvalidInput: a system alert, a collection where it is not on_demand, or inputs that do not fit.
        LimitExceeded: the queue is full. OutcomeUnknown: it may be stored; the id is in the details.
    """
    alert = await context.alert_service.find(access.namespace_id, id_or_name)
    if not alert.enabled:
        raise Conflict(
            f"the alert {alert.name!r} is switched off; change it with enabled true first",
            code="alert_disabled",
        )
    if alert.retriever_id is None:
        raise InvalidInput.at(("source",), "a system alert runs on its schedule only", value="system")
    run, mapped = await _attached(context, alert, body.collection_id)
    asked = alert.model_copy(update={"inputs": {**alert.inputs, **mapped, **(body.inputs or {})}})
    check_inputs(await retriever_of(context.retrievers, alert), asked, complete=True)
    execution_id = ids.execution_id()
    idempotency = None
    if idempotency_key:
        plain = body.model_dump(exclude_unset=True)
        idempotency = Idempotency(f"alerts/{alert.alert_id}", idempotency_key, plain)
    stored = await store(
        context,
        access,
        alert.retriever_id,
        ExecuteBody(inputs=dict(asked.inputs)),
        execution_id,
        idempotency=idempotency,
        alert=run,
    )
    return await alert_execution(context, access, stored.execution_id)


async def _attached(
    context: ApiContext, alert: Alert, collection: str | None
) -> tuple[AlertRun, dict[str, Any]]:
    """The run, and the inputs that an attachment maps for it."""
    if collection is None:
        return AlertRun(alert.alert_id, Mode.ON_DEMAND), {}
    try:
        found = await context.collections.find(alert.namespace_id, collection)
    except NotFound as error:
        raise InvalidInput.at(
            ("collection_id",), "is no collection's id or name here", value=collection
        ) from error
    for each in attachments_to(alert.alert_id, found.answer()):
        if each.execution_mode == Mode.ON_DEMAND:
            mapped = {mapping.input_key: mapping.value for mapping in each.input_mappings}
            return AlertRun(alert.alert_id, Mode.ON_DEMAND, found.resource_id), mapped
    raise InvalidInput.at(
        ("collection_id",), "the alert is not attached there as on_demand; leave it out", value=collection
    )
