"""The slice of a result that an answer carries: the four methods of a body (contract 2.2), and of a URL."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from shared.models.execution import Page
from shared.result_cursor import open_cursor, open_scroll

SIZE_MAX = 500
SCROLL_SIZE_MAX = 1_000
_SIZE = {"cursor": 20, "offset": 10, "keyset": 10, "scroll": 100}
_SCROLL_TTL_S = 300
_NUMBER_MAX = 1_000_000

# The execution whose stored result a token leads to, and the page of it.
StoredPage = tuple[str, Page]


class _Method(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    def stored(self, secret: bytes) -> StoredPage | None:
        """Where the token of an earlier answer leads; None: a new execution is asked for.

        Raises:
            BadRequest, NotFound: there is a token, and it is no good.
        """
        return None


class OffsetPagination(_Method):
    """Page by number; every page is an execution of its own."""

    method: Literal["offset"]
    page_size: int = Field(_SIZE["offset"], ge=1, le=SIZE_MAX, description="Documents per page.")
    page_number: int = Field(1, ge=1, le=_NUMBER_MAX, description="Which page, from 1.")

    def page(self) -> Page:
        return Page("offset", self.page_size, (self.page_number - 1) * self.page_size)


class CursorPagination(_Method):
    """Page by cursor; the further pages are read from the stored result of the first call."""

    method: Literal["cursor"] = "cursor"
    limit: int | None = Field(None, ge=1, le=SIZE_MAX, description="Documents per page; 20 when absent.")
    cursor: str | None = Field(None, description="`pagination.cursor` of the answer before.")

    def page(self) -> Page:
        return Page("cursor", self.limit or _SIZE["cursor"])

    def stored(self, secret: bytes) -> StoredPage | None:
        return _behind_cursor(self.cursor, self.limit, secret) if self.cursor else None


class KeysetPagination(_Method):
    """Page by the last document seen; every page is an execution of its own, on the documents as they are."""

    method: Literal["keyset"]
    limit: int = Field(_SIZE["keyset"], ge=1, le=SIZE_MAX, description="Documents per page.")
    after: dict[str, Any] | None = Field(
        None,
        description='`pagination.next_cursor` of the answer before: every sort value and "id".',
        json_schema_extra={"example": {"score": 0.73, "id": "doc_20"}},
    )

    @model_validator(mode="after")
    def _names_a_document(self) -> KeysetPagination:
        if self.after and "id" not in self.after:
            raise ValueError('after must hold every sort field and "id", as next_cursor of the page before')
        return self

    def page(self) -> Page:
        return Page("keyset", self.limit, after=self.after or None)


class ScrollPagination(_Method):
    """Page by scroll id: a cursor that ends, for reading a whole result in large pages."""

    method: Literal["scroll"]
    limit: int | None = Field(
        None, ge=1, le=SCROLL_SIZE_MAX, description="Documents per page; 100 when absent."
    )
    scroll_id: str | None = Field(None, description="`pagination.scroll_id` of the answer before.")
    scroll_ttl: int | None = Field(
        None, ge=60, le=3_600, description="How long the next page's id is good (s); 300 when absent."
    )

    def page(self) -> Page:
        return Page("scroll", self.limit or _SIZE["scroll"], scroll_ttl_s=self.scroll_ttl or _SCROLL_TTL_S)

    def stored(self, secret: bytes) -> StoredPage | None:
        return _behind_scroll(self.scroll_id, self.limit, self.scroll_ttl, secret) if self.scroll_id else None


def _behind_cursor(cursor: str, size: int | None, secret: bytes) -> StoredPage:
    execution_id, page = open_cursor(cursor, secret)
    return execution_id, replace(page, size=size or page.size)


def _behind_scroll(scroll_id: str, size: int | None, ttl_s: int | None, secret: bytes) -> StoredPage:
    execution_id, page = open_scroll(scroll_id, secret)
    return execution_id, replace(page, size=size or page.size, scroll_ttl_s=ttl_s or page.scroll_ttl_s)


def _method(value: Any) -> str:
    method = value.get("method", "cursor") if isinstance(value, dict) else getattr(value, "method", None)
    return method.lower() if isinstance(method, str) else "cursor"


def _lower_method(value: Any) -> Any:
    """The contract's sources write the method in capitals and in lower case."""
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"method": "cursor", "limit": 20}')
    if isinstance(value.get("method"), str):
        return {**value, "method": value["method"].lower()}
    return value


Pagination = Annotated[
    Annotated[OffsetPagination, Tag("offset")]
    | Annotated[CursorPagination, Tag("cursor")]
    | Annotated[KeysetPagination, Tag("keyset")]
    | Annotated[ScrollPagination, Tag("scroll")],
    Discriminator(_method),
    BeforeValidator(_lower_method),
]


class StoredPaging(BaseModel):
    """The paging of a URL, which reads a stored result. `next_cursor` and `after` are cursors, too."""

    method: Literal["cursor", "offset", "scroll"] | None = Field(
        None, description="cursor unless offset, page or page_number is given."
    )
    limit: int | None = Field(
        None, ge=1, le=SCROLL_SIZE_MAX, description="Documents; over 500 by scroll only."
    )
    page_size: int | None = Field(None, ge=1, le=SIZE_MAX, description="Another name of limit.")
    offset: int | None = Field(None, ge=0, le=10_000, description="Documents to skip.")
    page: int | None = Field(None, ge=1, le=_NUMBER_MAX, description="1-based; offset = (page - 1) * limit.")
    page_number: int | None = Field(None, ge=1, le=_NUMBER_MAX, description="Another name of page.")
    cursor: str | None = Field(None, description="`pagination.cursor` of an answer about this execution.")
    next_cursor: str | None = Field(None, description="Another name of cursor.")
    after: str | None = Field(None, description="Another name of cursor.")
    scroll_id: str | None = Field(None, description="`pagination.scroll_id` of an answer about it.")
    scroll_ttl: int | None = Field(
        None, ge=60, le=3_600, description="How long the next scroll_id is good (s)."
    )

    @model_validator(mode="after")
    def _one_way(self) -> StoredPaging:
        ways = {"cursor": self._cursor, "scroll": self.scroll_id, "offset": self._number() or self.offset}
        given = [way for way, value in ways.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} cannot go together; send one of them")
        if given and self.method not in (None, given[0]):
            raise ValueError(f"method {self.method} and {given[0]} do not go together")
        if (self.limit or 0) > SIZE_MAX and "scroll" not in (self.method, *given):
            raise ValueError(f"limit is over {SIZE_MAX}, the most for other methods than scroll")
        return self

    @property
    def _cursor(self) -> str | None:
        return self.cursor or self.next_cursor or self.after or None

    def _number(self) -> int | None:
        return self.page or self.page_number

    def stored(self, execution_id: str, secret: bytes) -> StoredPage:
        """The page of this execution, or where its token leads.

        Raises:
            BadRequest, NotFound: there is a token, and it is no good.
        """
        size = self.limit or self.page_size
        if self._cursor:
            return _behind_cursor(self._cursor, size, secret)
        if self.scroll_id:
            return _behind_scroll(self.scroll_id, size, self.scroll_ttl, secret)
        by_number = self.offset is not None or self._number() is not None
        method = self.method or ("offset" if by_number else "cursor")
        size = size or _SIZE[method]
        offset = self.offset if self.offset is not None else ((self._number() or 1) - 1) * size
        return execution_id, Page(method, size, offset, scroll_ttl_s=self.scroll_ttl or _SCROLL_TTL_S)
