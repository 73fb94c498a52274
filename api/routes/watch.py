"""Watching many executions with one request."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.deps import ContextDep, ReadAccess
from api.json_body import JsonRoute
from api.openapi import answers
from api.preference import Preference
from api.routes.front_door import PollPrefer
from api.schemas.execution import WatchBody
from api.schemas.execution_answers import WatchAnswer
from api.services.executions.watch import watch_many, watched_body

router = APIRouter(prefix="/v1/executions", tags=["executions"], route_class=JsonRoute)


@router.post(
    "/watch",
    summary="Watch many executions",
    responses=answers(WatchAnswer, 422, headers={"Preference-Applied": "What of Prefer was honoured."}),
)
async def watch_executions(
    body: WatchBody, context: ContextDep, access: ReadAccess, prefer: PollPrefer = None
) -> Response:
    """Which of up to 1,000 executions have another revision than the client has seen.

    With `Prefer: wait=N` the answer is held until one has. Send the new revisions with the next request.
    """
    preference = Preference.of(prefer)
    watched = await watch_many(context, access, body.known(), preference.wait_s or 0.0)
    applied = {name.decode(): value.decode() for name, value in preference.applied()}
    return Response(await watched_body(context, watched), media_type="application/json", headers=applied)
