"""The body of a batch: up to sixteen queries of one retriever."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.common import NotYet, RequestModel
from api.schemas.pagination import SIZE_MAX

QUERIES_MAX = 16
CONCURRENCY_DEFAULT = 5


class BatchQuery(RequestModel):
    """One query: an execution of its own."""

    model_config = ConfigDict(strict=True)

    inputs: dict[str, Any]
    filters: dict[str, Any] | None = None


class BatchSettings(RequestModel):
    """The same for all queries. Other keys have no meaning, and are named in `warnings`."""

    model_config = ConfigDict(strict=True)

    limit: int = Field(10, ge=1, le=SIZE_MAX, description="Documents in each result.")


class BatchBody(RequestModel):
    """POST /v1/retrievers/{retriever}/execute/batch."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "example": {"queries": [{"inputs": {"query": "parse json"}}, {"inputs": {"query": "parse toml"}}]}
        },
    )

    queries: list[Any] = Field(
        min_length=1, description='1 to 16 of {"inputs", "filters"?}; a bad one does not fail the others.'
    )
    settings: BatchSettings | None = None
    concurrency: int = Field(
        CONCURRENCY_DEFAULT,
        ge=1,
        le=20,
        description="How many run at once while the answer is held or streams; else only 5: all can.",
    )
    return_vectors: bool = Field(False, description="Add each document's vectors to its payload.")
    stream: bool = Field(False, description="Send each result as its query ends, as server-sent events.")
    return_presigned_urls: NotYet = False

    def warnings(self) -> list[str]:
        unknown = self.settings.unknown_keys() if self.settings else ()
        return super().warnings() + [
            f"the key 'settings.{key}' is unknown and was ignored" for key in unknown
        ]
