"""The books: every execution that was submitted, and where it is now."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep, NamespaceHeader, NamespaceQuery, ReaderDep
from api.openapi import answers, json_response
from api.schemas.stats import Stats

router = APIRouter(prefix="/v1/stats", tags=["stats"])


@router.get("", summary="Count executions by status", responses=answers(Stats, 400, 404))
async def read(
    context: ContextDep,
    caller: ReaderDep,
    x_namespace: NamespaceHeader = None,
    namespace: NamespaceQuery = None,
) -> Response:
    """Of the namespace; without one, of the installation, for a key that is not limited to namespaces."""
    return json_response(await context.stats.read(caller, x_namespace or namespace))
