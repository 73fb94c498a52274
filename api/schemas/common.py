"""What the bodies of several resources share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from shared.errors import InvalidInput
from shared.filters.paths import validate_path

_EMPTY: tuple[Any, ...] = ("", [], {})


def _refuse(value: Any) -> Any:
    if value is None or value is False or value in _EMPTY:  # 0 is a value, though equal to False
        return value
    raise ValueError("is not supported yet; leave it out")


def _printable(value: str | None) -> str | None:
    """None is for the field's type to take or refuse."""
    if value is not None and not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def _path(value: str) -> str:
    try:
        return validate_path(value)
    except InvalidInput as error:
        raise ValueError(error.errors[0]["msg"]) from error


FieldPath = Annotated[str, AfterValidator(_path), Field(description="Dotted path of a field.")]
# A field of the contract that this version does not have: refused unless it is empty.
NotYet = Annotated[
    Any,
    AfterValidator(_refuse),
    Field(description="Not supported yet.", json_schema_extra={"enum": [None, False, *_EMPTY]}),
]
# Of a name as people choose it; behind its length, so that errors speak of characters.
Printable = AfterValidator(_printable)


class RequestModel(BaseModel):
    """A request body. Keys that it does not know are kept aside and named in the answer's `warnings`."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    def unknown_keys(self) -> list[str]:
        return sorted(self.model_extra or ())

    def warnings(self) -> list[str]:
        return [f"the key {key!r} is unknown and was ignored" for key in self.unknown_keys()]


class Sort(RequestModel):
    """One key of an order."""

    field: Annotated[str, Field(min_length=1, max_length=255, description="Dotted path of a field.")]
    direction: Literal["asc", "desc"] = "asc"


class PagingBody(RequestModel):
    """The paging that a list body may hold; it wins over the query's."""

    limit: Annotated[StrictInt | None, Field(ge=1, le=1_000)] = None
    page_size: Annotated[StrictInt | None, Field(ge=1, le=1_000, description="Another name of limit.")] = None
    offset: Annotated[StrictInt | None, Field(ge=0, le=10_000)] = None
    page: Annotated[StrictInt | None, Field(ge=1, le=1_000_000)] = None
    cursor: str | None = None
    include_total: StrictBool | None = None


class ListBody(PagingBody):
    """The body of a list of resources. All of it may be left out."""

    search: Annotated[
        str | None,
        Field(max_length=200, description="Part of an id, name or description; `*` and `?` are wildcards."),
    ] = None
    filters: Annotated[
        dict[str, Any] | None, Field(description="A filter tree over the fields of the answer.")
    ] = None
    sort: Annotated[Sort | None, Field(description="Newest first when no order is given.")] = None
    sorts: Annotated[
        list[Sort] | None, Field(max_length=8, description="First is primary; wins over sort.")
    ] = None
    case_sensitive: Annotated[bool, Field(description="Of search and filters.")] = False

    def order(self) -> list[Sort]:
        return self.sorts or ([self.sort] if self.sort else [])


class Pagination(BaseModel):
    """Where a page stands in its list. The totals are null unless `include_total` asked for them."""

    total: int | None
    page: int | None
    page_size: int | None
    total_pages: int | None
    next_page: str | None
    previous_page: str | None
    next_cursor: str | None


class Degraded(BaseModel):
    """Why an answer may not be the whole one."""

    resource: str
    id: str | None = None
    reason: str
    next_step: str
    stage: str | None = None


class Deleted(BaseModel):
    message: str = "deleted"
    success: bool = True


class ErrorBody(BaseModel):
    message: str
    type: str
    code: str
    details: dict[str, Any]


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    success: Literal[False]
    status: int
    error: ErrorBody
