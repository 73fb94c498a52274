"""Paging of lists: the query and body parameters of contract 1.6, and the page they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query

from api.schemas.common import PagingBody

DEFAULT_LIMIT = 20
LIMIT_MAX = 1_000
OFFSET_MAX = 10_000
PAGE_MAX = 1_000_000
LINK_HEADER = {"Link": "The next page, with rel=next; absent on the last one."}


@dataclass(frozen=True, slots=True)
class Page:
    """`limit` entries from `offset` on, or from the position that `cursor` holds."""

    limit: int
    offset: int = 0
    cursor: str | None = None
    include_total: bool = False


SearchQuery = Annotated[
    str | None,
    Query(max_length=200, description="Part of an id, name or description; `*` and `?` are wildcards."),
]


@dataclass(frozen=True, slots=True)
class PagingQuery:
    """The paging parameters of a URL. None = not given."""

    limit: Annotated[int | None, Query(ge=1, le=LIMIT_MAX, description="Page size.")] = None
    page_size: Annotated[int | None, Query(ge=1, le=LIMIT_MAX, description="Another name of limit.")] = None
    offset: Annotated[int | None, Query(ge=0, le=OFFSET_MAX, description="Entries to skip.")] = None
    page: Annotated[
        int | None, Query(ge=1, le=PAGE_MAX, description="1-based; offset = (page - 1) * limit.")
    ] = None
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None
    next_cursor: Annotated[str | None, Query(description="Another name of cursor.")] = None
    after: Annotated[str | None, Query(description="Another name of cursor.")] = None
    include_total: Annotated[bool | None, Query(description="Count all matches.")] = None


PagingDep = Annotated[PagingQuery, Depends()]


def page_of(
    query: PagingQuery, body: PagingBody | None = None, *, default_limit: int = DEFAULT_LIMIT
) -> Page:
    """The page asked for: the body wins over the query, limit over page_size, offset over page."""
    body = body or PagingBody()
    limit = _first(body.limit, body.page_size, query.limit, query.page_size, default_limit)
    return Page(
        limit=limit,
        offset=_first(_offset(body.offset, body.page, limit), _offset(query.offset, query.page, limit), 0),
        cursor=body.cursor or query.cursor or query.next_cursor or query.after or None,
        include_total=_first(body.include_total, query.include_total, False),
    )


def pagination(page: Page, *, next_cursor: str | None, total: int | None) -> dict[str, Any]:
    """The contract's PaginationResponse. Page numbers are known only where no cursor was used."""
    number = None if page.cursor else page.offset // page.limit + 1
    pages = None if total is None else -(-total // page.limit)
    return {
        "total": total,
        "page": number,
        "page_size": page.limit,
        "total_pages": pages,
        "next_page": str(number + 1) if number and next_cursor else None,
        "previous_page": str(number - 1) if number and number > 1 else None,
        "next_cursor": next_cursor,
    }


def next_link(cursor: str | None, page: Page) -> dict[str, str]:
    """The header of a list that goes on (RFC 8288), relative to the list's own URL."""
    return {"Link": f'<?cursor={cursor}&limit={page.limit}>; rel="next"'} if cursor else {}


def _offset(offset: int | None, page: int | None, limit: int) -> int | None:
    if offset is not None:
        return offset
    return None if page is None else (page - 1) * limit


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
