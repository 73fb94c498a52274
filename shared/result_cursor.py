"""What leads to the next page of a stored result: signed positions, made by worker and API, read by the API.

A cursor holds execution, position and page size; a scroll id also when it ends. Neither needs any state.
"""

from __future__ import annotations

from shared import tokens
from shared.clock import now_ms
from shared.errors import BadRequest, NotFound
from shared.models.execution import Page


def next_cursor(execution_id: str, page: Page, total: int, secret: bytes) -> str | None:
    """The cursor or scroll id of the page after this one; None on the last page, and for other methods."""
    following = page.offset + page.size
    if page.method not in ("cursor", "scroll") or following >= total:
        return None
    position = [execution_id, following, page.size]
    if page.method == "scroll":
        position += [page.scroll_ttl_s, now_ms() + page.scroll_ttl_s * 1000]
    return tokens.sign(position, secret)


def open_cursor(cursor: str, secret: bytes) -> tuple[str, Page]:
    """The execution and the page that a cursor stands for.

    Raises:
        BadRequest: it is not the cursor of a result.
    """
    content = tokens.open_token(cursor, secret)
    if not (isinstance(content, list) and len(content) == 3):
        raise BadRequest("the cursor is not one of an execution's result; start again without it")
    execution_id, offset, size = content
    return execution_id, Page("cursor", size, offset)


def open_scroll(scroll_id: str, secret: bytes) -> tuple[str, Page]:
    """The execution and the page that a scroll id stands for.

    Raises:
        NotFound: it is not a scroll id of this server, or its time is over.
    """
    try:
        content = tokens.open_token(scroll_id, secret, what="scroll_id")
    except BadRequest as error:
        raise NotFound(error.message, code="scroll_not_found") from error
    if not (isinstance(content, list) and len(content) == 5):
        raise NotFound("the scroll_id is not one of an execution's result; start again without it",
                       code="scroll_not_found")  # fmt: skip
    execution_id, offset, size, ttl_s, ends_at_ms = content
    if now_ms() >= ends_at_ms:
        raise NotFound(
            f"the scroll_id ended {ttl_s} s after its page was made; start again, with a longer scroll_ttl",
            code="scroll_expired",
        )
    return execution_id, Page("scroll", size, offset, scroll_ttl_s=ttl_s)
