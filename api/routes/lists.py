"""The lists of what a namespace holds, answered alike."""

from __future__ import annotations

from fastapi import Response

from api.deps import Access
from api.openapi import json_response
from api.paging import Page, pagination
from api.schemas.common import Degraded
from api.services.documents.answers import joined
from api.services.resources.listing import Listing


def list_response(access: Access, page: Page, found: Listing, *, total_field: str) -> Response:
    """The page; an unknown namespace shows as a warning and a header (contract 1.1)."""
    total = found.total if page.include_total else None
    rest = {
        "pagination": pagination(page, next_cursor=found.next_cursor, total=total),
        total_field: found.total,
        "warnings": [warning.model_dump() for warning in _warnings(access)],
    }
    headers = {"X-Namespace-Unresolved": "true"} if access.unresolved else None
    return json_response(joined("results", found.bodies, rest), headers=headers)


def _warnings(access: Access) -> list[Degraded]:
    if not access.unresolved:
        return []
    return [
        Degraded(
            resource="namespace",
            id=access.unresolved,
            reason="unresolved",
            next_step="check X-Namespace: this key can use no namespace of that id or name",
        )
    ]
