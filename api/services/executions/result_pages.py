"""Pages of a stored result: the same execution, nothing runs, nothing is charged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from api.context import ApiContext
from api.deps import Access
from api.schemas.pagination import StoredPaging
from api.services.executions.reading import Owner, missing, read
from api.services.validation import validated
from shared.errors import BadRequest
from shared.models.execution import Page, pagination_of
from shared.result_cursor import next_cursor
from shared.stores.executions import StoredExecution


def paging_of(query: Mapping[str, Sequence[str]]) -> StoredPaging | None:
    """The paging that a URL asks for; None when it says nothing of it.

    Raises:
        InvalidInput: naming each parameter that is out of range.
    """
    given = {name: values[-1] for name, values in query.items() if name in StoredPaging.model_fields}
    if not given:
        return None
    if "method" in given:
        given["method"] = given["method"].lower()
    return validated(StoredPaging, given, at=("query",))


async def further_page(
    context: ApiContext,
    access: Access,
    owner: Owner,
    execution_id: str,
    page: Page,
    warnings: Sequence[str],
) -> StoredExecution:
    """The page that the token of an earlier answer leads to; `warnings` are added to those of the run.

    Raises:
        NotFound, Gone: as `read`.
    """
    stored = await read(context, access, owner, execution_id)
    return await with_page(context, access, owner, stored, page, warnings)


async def with_paging(
    context: ApiContext, access: Access, owner: Owner, stored: StoredExecution, paging: StoredPaging
) -> StoredExecution:
    """The execution with the page of its result that a URL asks for; until it has a result, as it is.

    Raises:
        BadRequest, NotFound: a token that is no good, or another execution's. Gone: it has just expired.
    """
    execution_id, page = paging.stored(stored.execution_id, await context.cursors.secret())
    if execution_id != stored.execution_id:
        raise BadRequest(f"the cursor belongs to execution {execution_id}; read that one", code="bad_cursor")
    return await with_page(context, access, owner, stored, page) if stored.is_terminal else stored


async def with_page(
    context: ApiContext,
    access: Access,
    owner: Owner,
    stored: StoredExecution,
    page: Page,
    warnings: Sequence[str] = (),
) -> StoredExecution:
    """An ended execution with another page of its result. Raises Gone when that has just expired."""
    execution_id = stored.execution_id
    detail: dict[str, Any] = orjson.loads(b"{" + stored.detail[1:])
    total = detail["pagination"]["total"]
    rows = await context.executions.documents(execution_id, page.offset, page.size)
    if rows is not None:
        documents = [orjson.Fragment(row) for row in rows]
    else:  # the answer holds the whole result, or there is none
        if total > len(detail["documents"]):
            raise await missing(context, access, owner, execution_id)
        documents = detail["documents"][page.offset : page.offset + page.size]
    following = next_cursor(execution_id, page, total, await context.cursors.secret())
    detail["documents"] = documents
    detail["total_returned"] = len(documents)
    detail["warnings"] = [*detail["warnings"], *warnings]
    detail["pagination"] = pagination_of(page, total, len(documents), following)
    return replace(stored, detail=b"," + orjson.dumps(detail)[1:])
