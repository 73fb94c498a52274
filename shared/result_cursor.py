"""The cursor of an execution's result: a signed position, made by worker and API, read by the API."""

from __future__ import annotations

from shared import tokens
from shared.errors import BadRequest
from shared.models.execution import Page


def next_cursor(execution_id: str, page: Page, total: int, secret: bytes) -> str | None:
    """Where the page after this one begins; None on the last page, and for pages by number."""
    following = page.offset + page.size
    if page.method != "cursor" or following >= total:
        return None
    return tokens.sign([execution_id, following, page.size], secret)


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
