"""Bodies of execution requests. Unknown keys are tolerated, and named in the answer's `warnings`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from api.schemas.common import ListBody, NotYet, PagingBody, RequestModel
from api.schemas.pagination import SIZE_MAX, Pagination
from api.schemas.retrievers import BudgetLimits
from shared.documents.write_token import read_write_token
from shared.errors import InvalidInput, dotted
from shared.filters.paths import validate_path
from shared.models.execution import Page, Priority
from shared.plan import ignored_keys

_EXPAND_MAX = 20


def _path(value: str) -> str:
    try:
        return validate_path(value)
    except InvalidInput as error:
        raise ValueError(error.errors[0]["msg"]) from error


def _write_token(value: str) -> str:
    try:
        read_write_token(value)
    except InvalidInput as error:
        raise ValueError(error.errors[0]["msg"]) from error
    return value


class Consistency(BaseModel):
    """How fresh a search by vectors must be; everything else always sees every acknowledged write."""

    model_config = ConfigDict(strict=True, extra="forbid")

    mode: Literal["strong", "eventual"]
    max_staleness_ms: int | None = Field(None, ge=0)


class RunBody(RequestModel):
    """What all ways to run a pipeline have in common."""

    model_config = ConfigDict(strict=True)

    inputs: dict[str, Any] = Field(default_factory=dict, description="Values for the input_schema.")
    collection_identifiers: list[str] | None = None
    pagination: Pagination | None = Field(
        None, description="Which slice of the result to answer; cursor, 20."
    )
    filters: dict[str, Any] | None = Field(None, description="Filter tree AND-ed with the stages' own.")
    limit: int | None = Field(None, ge=1, le=SIZE_MAX, description="Page size when `pagination` is absent.")
    page_size: int | None = Field(None, ge=1, le=SIZE_MAX, description="Alias of `limit`.")
    expand: list[Annotated[str, AfterValidator(_path)]] | None = Field(
        None,
        max_length=_EXPAND_MAX,
        description="Fields holding document ids; those documents are attached under `_expanded`.",
    )
    return_vectors: bool = Field(False, description="Add each document's vectors to its payload.")
    consistency: Consistency | None = None
    write_token: Annotated[str, AfterValidator(_write_token)] | None = Field(
        None, max_length=4_096, description="Of an earlier write, which the run is to see."
    )
    priority: Priority | None = Field(
        None,
        description="Which queue it waits in; by default `interactive` where the request is held or streams, "
        "else `normal`.",
    )
    stream: bool = Field(False, description="Answer with its events (text/event-stream) as they happen.")
    return_presigned_urls: NotYet = False
    settings: dict[str, Any] | None = Field(None, description="Sent by a client layer; has no meaning.")

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.limit and self.page_size and self.limit != self.page_size:
            raise ValueError("limit and page_size are the same thing; send one of them")
        return self

    def page(self) -> Page:
        if self.pagination is not None:
            return self.pagination.page()
        return Page("cursor", self.limit or self.page_size or 20)

    def warnings(self) -> list[str]:
        found = super().warnings()
        if self.pagination is not None and (self.limit or self.page_size):
            found.append("pagination was given, so limit was ignored")
        return found

    def page_warnings(self) -> list[str]:
        """As `warnings`, of a body whose token leads to a page of a stored result: nothing else counts."""
        given = self.model_fields_set & type(self).model_fields.keys() - {"pagination", "settings"}
        beside = sorted(name for name in given if getattr(self, name) not in (None, False, {}))
        found = super().warnings()
        if beside:
            found.append(f"a further page is read from the stored result: {', '.join(beside)} had no effect")
        return found


class ExecuteBody(RunBody):
    """POST /v1/retrievers/{retriever}/execute."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "inputs": {"query": "read a file line by line", "top_k": 10},
                "pagination": {"method": "cursor", "limit": 5},
            }
        },
    )

    collection_identifiers: list[str] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Collection ids and names that replace the retriever's own.",
    )
    skip_cache: bool = Field(False, description="There is no cache yet, so both values do the same.")
    explain: bool = Field(False, description="Add `explain_plan` to the answer.")
    target_collection_id: NotYet = None


class ExtendBody(RequestModel):
    """POST /v1/retrievers/{retriever}/executions/{execution_id}/extend."""

    model_config = ConfigDict(strict=True, json_schema_extra={"example": {"expires_in_s": 604_800}})

    expires_in_s: int = Field(ge=1, description="Keep it for so long from now (s), at most SUMMARY_TTL_S.")


class KnownExecution(RequestModel):
    """An execution, and what the client has seen of it."""

    model_config = ConfigDict(strict=True)

    execution_id: str = Field(min_length=1, max_length=100)
    revision: int | None = Field(None, ge=0, description="Last seen; without it, it counts as changed.")


class WatchBody(RequestModel):
    """POST /v1/executions/watch."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"executions": [{"execution_id": "exec_7h3k9m2p4q6r8s1t", "revision": 2}]}
        }
    )

    executions: list[KnownExecution] = Field(
        min_length=1, max_length=1_000, description="Of any retriever of the namespace, and ad-hoc ones."
    )

    def known(self) -> dict[str, int | None]:
        return {each.execution_id: each.revision for each in self.executions}


class ExplainBody(RequestModel):
    """POST /v1/retrievers/{retriever}/execute/explain; may be empty."""

    inputs: dict[str, Any] | None = Field(
        None, description="Hypothetical inputs, not checked; they fill the parameters that cut."
    )


class AdhocBody(RunBody):
    """POST /v1/retrievers/execute: a retriever that is run once and not stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "inputs": {"kind": "class"},
                "stages": [
                    {
                        "stage_name": "kind",
                        "config": {
                            "stage_id": "attribute_filter",
                            "parameters": {"field": "kind", "operator": "eq", "value": "{{INPUT.kind}}"},
                        },
                    }
                ],
            }
        },
    )

    inputs: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=dict, description="Values for the input_schema, if there is one."
    )
    stages: list[Any] = Field(description="1 to 50 stages; GET /v1/retrievers/stages lists what there is.")
    collection_identifiers: list[str] | None = Field(
        None,
        max_length=1000,
        validation_alias=AliasChoices("collection_identifiers", "collection_ids"),
        description="Ids or names; none = every collection. `collection_ids` is another name.",
    )
    input_schema: dict[str, Any] | None = Field(
        None, description="Input name -> {type, required, default, …}; checked when given."
    )
    filters: dict[str, Any] | None = Field(
        None,
        validation_alias=AliasChoices("filters", "pre_filters"),
        description="Filter tree AND-ed with the stages' own. `pre_filters` is another name.",
    )
    budget_limits: BudgetLimits | None = None

    def warnings(self) -> list[str]:
        unknown = [dotted(loc) for loc in ignored_keys(self.stages)]
        return super().warnings() + [f"the key {place!r} is unknown and was ignored" for place in unknown]


class ExecutionsListBody(ListBody):
    """POST /v1/retrievers/{retriever}/executions/list; may be empty."""

    status: str | None = Field(
        None, description="pending, processing (or running), completed, degraded, failed, cancelled."
    )
    search: NotYet = None


def _utc(value: datetime) -> datetime:
    """A time without a zone is UTC."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_utc)]


class AdhocListBody(PagingBody):
    """POST /v1/retrievers/executions/list; may be empty."""

    status: str | None = Field(
        None, description="pending, processing (or running), completed, degraded, failed, cancelled."
    )
    start_time: Instant | None = Field(None, description="Submitted at or after (ISO 8601).")
    end_time: Instant | None = Field(None, description="Submitted at or before (ISO 8601).")
    count_only: bool = Field(False, description="Only the total, without the executions.")
