"""Bodies of execution requests. Unknown keys are tolerated, and named in the answer's `warnings`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from api.schemas.common import ListBody, NotYet, RequestModel
from shared.models.execution import Page


class OffsetPagination(BaseModel):
    """Page by number; every page is an execution of its own."""

    model_config = ConfigDict(strict=True, extra="forbid")

    method: Literal["offset"]
    page_size: int = Field(10, ge=1, le=500, description="Documents per page.")
    page_number: int = Field(1, ge=1, le=1_000_000, description="Which page, from 1.")

    def page(self) -> Page:
        return Page("offset", self.page_size, (self.page_number - 1) * self.page_size)


class CursorPagination(BaseModel):
    """Page by cursor; the further pages are read from the stored result of the first call."""

    model_config = ConfigDict(strict=True, extra="forbid")

    method: Literal["cursor"] = "cursor"
    limit: int | None = Field(None, ge=1, le=500, description="Documents per page; 20 when absent.")
    cursor: str | None = Field(None, description="`pagination.cursor` of the answer before.")

    def page(self) -> Page:
        return Page("cursor", self.limit or 20, 0)


def _method(value: Any) -> str:
    method = value.get("method", "cursor") if isinstance(value, dict) else getattr(value, "method", None)
    return method.lower() if isinstance(method, str) else "cursor"


def _lower_method(value: Any) -> Any:
    """The contract's sources write the method in capitals and in lower case."""
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"method": "cursor", "limit": 20}')
    if isinstance(value.get("method"), str):
        method = value["method"].lower()
        if method in ("scroll", "keyset"):
            raise ValueError(f"method {method!r} is not supported yet; use cursor or offset")
        return {**value, "method": method}
    return value


Pagination = Annotated[
    Annotated[OffsetPagination, Tag("offset")] | Annotated[CursorPagination, Tag("cursor")],
    Discriminator(_method),
    BeforeValidator(_lower_method),
]


class Consistency(BaseModel):
    """Reads always see every acknowledged write, so each mode is satisfied."""

    model_config = ConfigDict(strict=True)

    mode: Literal["strong", "eventual"] = "eventual"
    max_staleness_ms: int | None = Field(None, ge=0)
    write_token: NotYet = None


class ExecuteBody(RequestModel):
    """POST /v1/retrievers/{retriever}/execute."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {
                "inputs": {"query": "read a file line by line", "top_k": 10},
                "pagination": {"method": "cursor", "limit": 5},
            }
        },
    )

    inputs: dict[str, Any] = Field(
        default_factory=dict, description="Values for the retriever's input_schema."
    )
    collection_identifiers: list[str] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Collection ids and names that replace the retriever's own.",
    )
    pagination: Pagination | None = Field(
        None, description="Which slice of the result to answer; cursor, 20."
    )
    filters: dict[str, Any] | None = Field(None, description="Filter tree AND-ed with the stages' own.")
    limit: int | None = Field(None, ge=1, le=500, description="Page size when `pagination` is absent.")
    page_size: int | None = Field(None, ge=1, le=500, description="Alias of `limit`.")
    skip_cache: bool = Field(False, description="There is no cache yet, so both values do the same.")
    consistency: Consistency | None = None
    stream: NotYet = False
    expand: NotYet = None
    return_vectors: NotYet = False
    return_presigned_urls: NotYet = False
    explain: NotYet = False
    target_collection_id: NotYet = None
    settings: dict[str, Any] | None = Field(None, description="Sent by a client layer; has no meaning.")

    @model_validator(mode="after")
    def _one_size(self) -> ExecuteBody:
        if self.limit and self.page_size and self.limit != self.page_size:
            raise ValueError("limit and page_size are the same thing; send one of them")
        return self

    def page(self) -> Page:
        if self.pagination is not None:
            return self.pagination.page()
        return Page("cursor", self.limit or self.page_size or 20, 0)

    def warnings(self) -> list[str]:
        found = super().warnings()
        if self.pagination is not None and (self.limit or self.page_size):
            found.append("pagination was given, so limit was ignored")
        return found

    @property
    def cursor(self) -> str | None:
        return self.pagination.cursor if isinstance(self.pagination, CursorPagination) else None


class ExecutionsListBody(ListBody):
    """POST /v1/retrievers/{retriever}/executions/list; may be empty."""

    status: str | None = Field(
        None, description="pending, processing (or running), completed, degraded, failed, cancelled."
    )
    search: NotYet = None
