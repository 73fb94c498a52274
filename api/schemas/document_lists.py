"""Lists of documents: what a client sends and gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, StrictInt, model_validator

from api.schemas.common import FieldPath, Pagination, PagingBody, RequestModel, Sort
from api.schemas.documents import Document, VectorsWanted

SEARCH_MAX_CHARS = 200
EXPAND_MAX_FIELDS = 20
COLLECTIONS_MAX = 1_000


class ListPartition(RequestModel):
    """One of `count` parts of the documents, which together hold each document once."""

    index: Annotated[StrictInt, Field(ge=0)]
    count: Annotated[StrictInt, Field(ge=1, le=256)]

    @model_validator(mode="after")
    def _exists(self) -> ListPartition:
        if self.index >= self.count:
            raise ValueError(f"index {self.index} must be below count {self.count}")
        return self


def _field(value: Any) -> Any:
    return value["field"] if isinstance(value, dict) and list(value) == ["field"] else value


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class DocumentListBody(PagingBody, VectorsWanted):
    """The body of a list of documents. All of it may be left out."""

    filters: Annotated[
        dict[str, Any] | None, Field(description="A filter tree; exact in case unless it says else.")
    ] = None
    sort: Annotated[Sort | None, Field(description="By document_id when no order is given.")] = None
    sorts: Annotated[
        list[Sort] | None, Field(max_length=8, description="First is primary; wins over sort.")
    ] = None
    search: Annotated[
        str | None,
        Field(
            max_length=SEARCH_MAX_CHARS,
            description="Part of the id or of any text, in any case; `*` and `?` are wildcards.",
        ),
    ] = None
    select: Annotated[
        list[str] | None,
        Field(max_length=100, description="Dotted paths of the fields to return; ids are always."),
    ] = None
    group_by: Annotated[
        FieldPath | None,
        BeforeValidator(_field),
        Field(description='A field, or {"field": …}: answers `groups` of documents; pages are of groups.'),
    ] = None
    expand: Annotated[
        list[FieldPath] | None,
        Field(
            max_length=EXPAND_MAX_FIELDS,
            description="Fields that hold document ids; those documents are under `_expanded`, 50 at most.",
        ),
    ] = None
    partition: Annotated[
        ListPartition | None, Field(description="Only this part; a cursor stays in its part.")
    ] = None

    def order(self) -> list[Sort]:
        return self.sorts or ([self.sort] if self.sort else [])


class NamespaceListBody(DocumentListBody):
    """The same for several collections, in one order."""

    collection_ids: Annotated[
        Annotated[list[str], Field(min_length=1, max_length=COLLECTIONS_MAX)] | None,
        BeforeValidator(_several),
        Field(
            validation_alias=AliasChoices("collection_ids", "collection_id", "collections"),
            description="Ids or names; all collections of the namespace when left out.",
        ),
    ] = None


class ListBatchQuery(RequestModel):
    key: Annotated[str, Field(min_length=1, max_length=128, description="Names the answer.")]
    request: NamespaceListBody


class ListBatchBody(RequestModel):
    queries: Annotated[list[ListBatchQuery], Field(min_length=1, max_length=10)]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list's body as query parameters, where the body does not say it."""

    filters: Annotated[str | None, Query(description="A filter tree as JSON.")] = None
    sort: Annotated[str | None, Query(description="`field:asc`, `field:desc` or JSON.")] = None
    search: Annotated[str | None, Query(description="Part of the id or of any text.")] = None
    select: Annotated[str | None, Query(description="Paths separated by commas.")] = None
    group_by: Annotated[str | None, Query(description="A field.")] = None
    expand: Annotated[str | None, Query(description="Fields separated by commas.")] = None
    partition: Annotated[str | None, Query(description='As JSON: `{"index": 0, "count": 4}`.')] = None
    return_vectors: Annotated[
        bool, Query(description="Add each vector at the document's root, under its name.")
    ] = False
    return_vector_names: Annotated[
        str | None, Query(description="Names separated by commas; `true` lists them.")
    ] = None
    return_presigned_urls: Annotated[
        bool, Query(description="Documents hold no blobs, so there is nothing to sign.")
    ] = False


class DocumentGroup(BaseModel):
    """`count` counts the whole group, of which `documents` are the first."""

    group_key: Any
    documents: list[Document]
    count: int


class ListStats(BaseModel):
    """The totals of documents are null unless `include_total` asked for them."""

    total_documents: int | None
    avg_blobs_per_document: float
    total_groups: int | None
    avg_documents_per_group: float | None


class DocumentList(BaseModel):
    """`results`, or with group_by `groups` in their place."""

    results: list[Document] | None = None
    groups: list[DocumentGroup] | None = None
    pagination: Pagination
    total_documents: int | None
    stats: ListStats
    warnings: list[str] = []
    group_by_field: str | None
    unknown_collection_ids: list[str] | None


class ListBatchResult(BaseModel):
    """`response`, or why there is none."""

    key: str
    response: DocumentList | None
    error: str | None


class ListBatchAnswer(BaseModel):
    results: list[ListBatchResult]
