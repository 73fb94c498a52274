"""Changes of documents: what a client sends and gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from api.schemas.common import RequestModel
from api.schemas.documents import BATCH_MAX, Lineage

UpdateData = Annotated[
    dict[str, Any],
    Field(
        min_length=1,
        description="A dotted key (`metadata.status`) sets one nested field; others replace a whole field.",
    ),
]
NewFields = Annotated[
    dict[str, Any],
    Field(
        description="Fields to replace. `metadata` is merged key by key, and null drops a key of it.",
        examples=[{"title": "Emma", "year": 1816, "metadata": {"checked": True}}],
    ),
]


class SystemFields(Lineage):
    """The keys of a change that are kept under `_internal`; the others are the user's own fields."""

    content_hash: str | None = None
    document_schema_version: str | None = None


class DocumentUpdate(RequestModel):
    document_id: str
    update_data: UpdateData


class DocumentBatchUpdate(RequestModel):
    """Either a change for each document, or one for all that pass the filters."""

    updates: Annotated[list[DocumentUpdate] | None, Field(min_length=1, max_length=BATCH_MAX)] = None
    filters: dict[str, Any] | None = None
    update_data: UpdateData | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> DocumentBatchUpdate:
        if (self.updates is None) == (not self.filters) or (self.update_data is None) == bool(self.filters):
            raise ValueError("give either updates, or filters (not empty) and update_data")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> DocumentBatchUpdate:
        seen: set[str] = set()
        for update in self.updates or ():
            if update.document_id in seen:
                raise ValueError(f"updates name {update.document_id!r} twice; join its changes into one")
            seen.add(update.document_id)
        return self


class DocumentBulkUpdate(RequestModel):
    filters: Annotated[dict[str, Any] | None, Field(description="All documents when left out.")] = None
    update_data: UpdateData


class DocumentUpdateResult(BaseModel):
    document_id: str
    success: bool
    error: str | None = None


class DocumentBatchUpdateAnswer(BaseModel):
    """With filters the documents are only counted, and `results` is empty."""

    updated_count: int
    failed_count: int
    results: list[DocumentUpdateResult]
    message: str


class DocumentBulkUpdateAnswer(BaseModel):
    """Done when it is answered, so there is no task to poll."""

    task_id: None = None
    status: Literal["COMPLETED"] = "COMPLETED"
    updated_count: int
    message: str
