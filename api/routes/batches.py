"""Batches of thousands of executions: uploaded, watched, read and cancelled as one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from api.answer_examples import BATCH_RESULT_LINE
from api.deps import ContextDep, PathId, ReadAccess
from api.etags import matches
from api.openapi import answers, json_response
from api.paging import LINK_HEADER, PagingDep, next_link, page_of, pagination
from api.preference import Preference
from api.schemas.batches import (
    LINES_MAX,
    BatchCancellation,
    BatchLineBody,
    BatchList,
    BatchRead,
    BatchResultLine,
    BatchUpload,
)
from api.services.batches.reading import (
    answer_of,
    cancel_batch,
    etag_of,
    list_batches,
    read_batch,
    read_batch_when,
    result_lines,
)
from api.services.batches.upload import upload_batch
from api.services.executions.history import status_of
from api.services.executions.submit import idempotency_key

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_NDJSON = "application/x-ndjson"
_UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One JSON object in each line.",
        "content": {_NDJSON: {"schema": BatchLineBody.model_json_schema()}},
    }
}
_RESULTS_BODY: dict[str, Any] = {
    "description": "One JSON object in each line, in line order.",
    "content": {_NDJSON: {"schema": BatchResultLine.model_json_schema() | {"examples": [BATCH_RESULT_LINE]}}},
}


@router.post(
    "",
    summary="Submit up to 10,000 executions as NDJSON",
    responses=answers(BatchUpload, 400, 413, 422, 429, 504),
    openapi_extra=_UPLOAD_BODY,
)
async def upload(
    request: Request,
    context: ContextDep,
    access: ReadAccess,
    retriever: Annotated[
        str | None, Query(description="Id or name of the retriever of lines that name none.")
    ] = None,
    idempotency: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="Same key: the same batch; a line that it has already is not submitted again.",
        ),
    ] = None,
) -> Response:
    """Lines are submitted while they arrive. A bad one is refused and does not concern the others.

    An error that ends the upload (the queue is full, Redis is away) says in its details how many lines were
    accepted; these stay, as do those of a client that breaks off, and the batch says `complete: false`.
    """
    done = await upload_batch(
        context,
        access,
        request.stream(),
        retriever=retriever,
        idempotency_key=idempotency_key(idempotency),
    )
    answer = {
        "batch_id": done.batch_id,
        "lines": done.lines,
        "accepted": done.accepted,
        "replayed": done.replayed,
        "refused": done.refused,
        "refused_lines": done.refused_lines,
        "complete": True,
    }
    return json_response(answer, headers={"Location": f"/v1/batches/{done.batch_id}"})


@router.get("", summary="List batches", responses=answers(BatchList, 400, 422, headers=LINK_HEADER))
async def list_all(context: ContextDep, access: ReadAccess, paging: PagingDep) -> Response:
    """Newest first."""
    page = page_of(paging)
    found = await list_batches(context, access, page)
    return json_response(
        {
            "results": found.results,
            "total": found.total,
            "pagination": pagination(page, next_cursor=found.next_cursor, total=found.total),
        },
        headers=next_link(found.next_cursor, page),
    )


@router.get("/{batch_id}", summary="Get a batch", responses=answers(BatchRead, 400, 404))
async def get(
    batch_id: PathId,
    context: ContextDep,
    access: ReadAccess,
    if_none_match: Annotated[
        str | None, Header(description="An ETag; 304 while no counter has changed.")
    ] = None,
    prefer: Annotated[str | None, Header(description="`wait=N`: hold until it ends (or changes).")] = None,
) -> Response:
    """Counters, rate and time left; the same small effort for a batch of any size."""
    preference = Preference.of(prefer)
    if preference.wait_s:
        batch = await read_batch_when(
            context,
            access,
            batch_id,
            preference.wait_s,
            lambda seen: (
                seen.has_ended or (if_none_match is not None and not matches(if_none_match, etag_of(seen)))
            ),
        )
    else:
        batch = await read_batch(context, access, batch_id)
    applied = {
        name.decode(): value.decode() for name, value in Preference(preference.wait_s, False).applied()
    }
    headers = {"ETag": etag_of(batch), "Cache-Control": "no-cache", **applied}
    if if_none_match is not None and matches(if_none_match, etag_of(batch)):
        return Response(status_code=304, headers=headers)
    return json_response(answer_of(batch), headers=headers)


@router.post(
    "/{batch_id}/cancel", summary="Cancel a batch", responses=answers(BatchCancellation, 400, 404, 504)
)
async def cancel(batch_id: PathId, context: ContextDep, access: ReadAccess) -> Response:
    """What has not ended is cancelled as by its own cancel; an upload that still runs adds nothing more."""
    return json_response(await cancel_batch(context, access, batch_id))


@router.get(
    "/{batch_id}/results",
    summary="Read the results of a batch as NDJSON",
    responses={**answers(BatchRead, 400, 404, 422), 200: _RESULTS_BODY},
    response_class=StreamingResponse,
)
async def results(
    batch_id: PathId,
    context: ContextDep,
    access: ReadAccess,
    status: Annotated[str | None, Query(description="Only executions in this status now.")] = None,
    after: Annotated[
        int, Query(ge=0, le=LINES_MAX, description="Go on behind this line number: the last one received.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX, description="At most so many lines.")] = LINES_MAX,
) -> Response:
    """Every accepted line as its execution is now, ended or not, in line order. Refused ones are left out.

    A transfer that breaks off is continued with `after`.
    """
    wanted = status_of(status)
    batch = await read_batch(context, access, batch_id)
    rows = result_lines(context, batch, wanted, after=after, limit=limit)
    return StreamingResponse(rows, media_type=_NDJSON)
