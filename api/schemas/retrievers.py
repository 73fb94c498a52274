"""Retrievers: what a client sends and gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BaseModel, Field

from api.schemas.common import Degraded, Pagination, Printable, RequestModel


class BudgetLimits(RequestModel):
    """Going over one fails the execution; over the time, it may end with what there is instead."""

    max_credits: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    max_time_ms: Annotated[int | None, Field(ge=0)] = None
    on_deadline: Annotated[
        Literal["fail", "partial"],
        Field(description="partial: at max_time_ms end as degraded, with the last stage's documents."),
    ] = "fail"


def _refuse_budget(value: Any) -> Any:
    if value is not None:
        raise ValueError("cannot be changed; clone the retriever with other limits")
    return value


class RetrieverCreate(RequestModel):
    retriever_name: Annotated[
        str, Field(min_length=1, max_length=255, description="Unique in its namespace."), Printable
    ]
    stages: Annotated[
        list[Any], Field(description="1 to 50 stages; GET /v1/retrievers/stages lists what there is.")
    ]
    collection_identifiers: Annotated[
        list[str] | None,
        Field(
            max_length=1_000,
            validation_alias=AliasChoices("collection_identifiers", "collection_ids"),
            description="Ids or names; none = every collection. `collection_ids` is another name.",
        ),
    ] = None
    input_schema: Annotated[
        dict[str, Any] | None, Field(description="Input name -> {type, required, default, …}.")
    ] = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    budget_limits: BudgetLimits | None = None
    tags: Annotated[list[str] | None, Field(max_length=100)] = None
    metadata: dict[str, Any] | None = None
    visibility: Annotated[
        Literal["private", "public", "marketplace"] | None, Field(description="Kept only.")
    ] = None
    marketplace_listing_id: Annotated[str | None, Field(description="Kept only.")] = None
    requires_subscription: Annotated[bool, Field(description="Kept only.")] = False
    display_config: Annotated[dict[str, Any] | None, Field(description="Kept only.")] = None


class RetrieverChange(RequestModel):
    """What to change; what is left out or null stays as it is. Lists and objects are replaced whole."""

    retriever_name: Annotated[str | None, Field(min_length=1, max_length=255), Printable] = None
    stages: Annotated[list[Any] | None, Field(description="All stages of the next version.")] = None
    collection_identifiers: Annotated[
        list[str] | None,
        Field(
            max_length=1_000,
            validation_alias=AliasChoices("collection_identifiers", "collection_ids"),
            description="Ids or names; [] = every collection. `collection_ids` is another name.",
        ),
    ] = None
    input_schema: Annotated[
        dict[str, Any] | None,
        Field(description="Only additions: optional inputs, defaults, examples, descriptions."),
    ] = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    tags: Annotated[list[str] | None, Field(max_length=100)] = None
    metadata: dict[str, Any] | None = None
    visibility: Literal["private", "public", "marketplace"] | None = None
    marketplace_listing_id: str | None = None
    requires_subscription: bool | None = None
    display_config: dict[str, Any] | None = None
    budget_limits: Annotated[Any, AfterValidator(_refuse_budget), Field(description="Clone to change.")] = (
        None
    )


class RetrieverClone(RequestModel):
    """The copy's name, and what is different about it."""

    retriever_name: Annotated[str, Field(min_length=1, max_length=255), Printable]
    stages: list[Any] | None = None
    collection_identifiers: Annotated[
        list[str] | None,
        Field(max_length=1_000, validation_alias=AliasChoices("collection_identifiers", "collection_ids")),
    ] = None
    input_schema: dict[str, Any] | None = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    budget_limits: BudgetLimits | None = None
    tags: Annotated[list[str] | None, Field(max_length=100)] = None
    display_config: dict[str, Any] | None = None


class RetrieverStage(BaseModel):
    stage_name: str
    stage_type: str
    config: dict[str, Any]
    parameters: dict[str, Any]
    on_error: Literal["error", "skip"]
    description: str | None
    batch_size: str | None = None
    output_alias: str | None = None


class Retriever(BaseModel):
    """A retriever in its current version."""

    retriever_id: str
    retriever_name: str
    description: str | None = None
    collection_ids: list[str]
    collection_identifiers: list[str]
    stages: list[RetrieverStage]
    input_schema: dict[str, Any]
    budget_limits: dict[str, Any] | None = None
    feature_dependencies: list[dict[str, Any]] = []
    tags: list[str] = []
    metadata: dict[str, Any] = {}
    visibility: str | None = None
    marketplace_listing_id: str | None = None
    requires_subscription: bool = False
    display_config: dict[str, Any] | None = None
    is_published: bool = False
    version: int = 1
    created_at: str
    updated_at: str
    created_by: str | None = None
    updated_by: str | None = None
    fusion: str | None = None
    warnings: list[str] = []


class RetrieverChanged(BaseModel):
    retriever: Retriever


class RetrieverCloned(BaseModel):
    retriever: Retriever
    source_retriever_id: str


class RetrieverList(BaseModel):
    results: list[Retriever]
    total: int
    pagination: Pagination
    warnings: list[Degraded] = []


class RetrieverDeletion(BaseModel):
    message: str
    success: Literal[True] = True
    retriever_id: str
    cancelled_executions: int


class StageDescription(BaseModel):
    """One kind of stage that the workers can run."""

    stage_id: str
    description: str
    category: Literal["filter", "sort", "reduce", "apply", "enrich"]
    icon: str
    parameter_schema: dict[str, Any] | None
