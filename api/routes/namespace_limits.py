"""Limits of a namespace, set by whoever runs the installation."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.context import ApiContext
from api.deps import AdminDep, ContextDep, PathName, PathReadAccess
from api.json_body import JsonRoute
from api.openapi import answers, json_response
from api.schemas.limits import LimitsBody, NamespaceLimits
from shared.stores.limits import Limits

router = APIRouter(prefix="/v1/namespaces/{namespace}/limits", tags=["namespaces"], route_class=JsonRoute)


@router.get("", summary="Get a namespace's limits", responses=answers(NamespaceLimits, 400, 404))
async def read(context: ContextDep, access: PathReadAccess) -> Response:
    """How many of its executions may run and wait: its own limits, or those of every namespace."""
    return json_response(await _limits(context, access.namespace_id))


@router.put(
    "", summary="Set a namespace's limits", responses=answers(NamespaceLimits, 400, 403, 404, 422, 504)
)
async def replace(context: ContextDep, caller: AdminDep, namespace: PathName, body: LimitsBody) -> Response:
    """From the next submit and claim on; what runs already ends as it would have."""
    namespace_id = await context.namespaces.resolve(caller, namespace)
    await context.limits.put(namespace_id, Limits(body.running, body.waiting))
    found = await _limits(context, namespace_id)
    return json_response(found.model_copy(update={"warnings": body.warnings()}))


async def _limits(context: ApiContext, namespace_id: str) -> NamespaceLimits:
    own, general = await context.limits.read(namespace_id)
    return NamespaceLimits(
        namespace_id=namespace_id,
        running=own.running or general.running,
        waiting=own.waiting or general.waiting,
    )
