"""Namespaces: what a client sends and gets."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictInt, model_validator

from api.schemas.common import NotYet, Pagination, Printable, RequestModel
from shared.documents.store import RESERVED_FIELDS, Metric, vector_name
from shared.documents.stored import MAX_DIMENSIONS, MAX_VECTOR_NAME_CHARS

NAMESPACE_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"


class FeatureExtractorRef(RequestModel):
    """Names a feature extractor; kept and shown, nothing more."""

    feature_extractor_name: str
    version: str
    params: dict[str, Any] | None = None


class PayloadIndex(RequestModel):
    """Kept and shown; every field can be filtered without an index."""

    field_name: Annotated[str, Field(min_length=1, max_length=255)]
    type: Literal["keyword", "integer", "float", "bool", "geo", "datetime", "text", "uuid"]
    field_schema: dict[str, Any] | None = None
    is_protected: bool = False


def _no_system_name(name: str) -> str:
    """Vectors are returned at the document's root, where these names are taken."""
    if name in RESERVED_FIELDS:
        raise ValueError(f"no vector may be named {name}")
    if vector_name(name) != name:
        raise ValueError("is a feature URI; give the bare name of the vectors")
    return name


class VectorConfig(RequestModel):
    """Vectors that every collection of the namespace is made for."""

    name: Annotated[
        str, Field(min_length=1, max_length=MAX_VECTOR_NAME_CHARS), Printable, AfterValidator(_no_system_name)
    ]
    dimension: Annotated[StrictInt, Field(ge=1, le=MAX_DIMENSIONS)]
    metric: Annotated[Metric, Field(description="How near two vectors are.")] = "cosine"


def _each_once(configs: list[VectorConfig] | None) -> list[VectorConfig] | None:
    names = [config.name for config in configs or ()]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"the name {twice[0]!r} is there twice; each name has one configuration")
    return configs


VectorConfigs = Annotated[
    list[VectorConfig] | None,
    Field(max_length=100, description="Documents may have these vectors only; any when left out."),
    AfterValidator(_each_once),
]


class NamespaceOptions(RequestModel):
    """What a namespace cannot be given yet, neither when it is made nor later."""

    auto_create_indexes: NotYet = None
    adaptive_indexing: NotYet = None
    ttl_seconds: NotYet = None
    infrastructure: NotYet = None
    trusted_issuers: NotYet = None
    tiering: NotYet = None
    spend_budget: NotYet = None
    cost_cap_override: NotYet = None


class NamespaceCreate(NamespaceOptions):
    namespace_name: Annotated[str, Field(min_length=3, max_length=64, description="Unique."), Printable]
    namespace_id: Annotated[
        str | None, Field(pattern=NAMESPACE_ID_PATTERN, description="Made by the server when left out.")
    ] = None
    mode: Annotated[
        Literal["managed", "standalone"], Field(description="Kept and shown; both work alike.")
    ] = "managed"
    description: Annotated[str | None, Field(max_length=10_000)] = None
    feature_extractors: list[FeatureExtractorRef] | None = None
    payload_indexes: Annotated[list[PayloadIndex] | None, Field(max_length=1_000)] = None
    features: NotYet = None
    vector_configs: VectorConfigs = None


class StandaloneCreate(RequestModel):
    """A namespace for vectors of one's own."""

    namespace_id: Annotated[
        str | None, Field(pattern=NAMESPACE_ID_PATTERN, description="namespace_name when left out.")
    ] = None
    namespace_name: Annotated[
        str | None,
        Field(min_length=1, max_length=64, description="The start of namespace_id when left out."),
        Printable,
    ] = None
    vector_configs: VectorConfigs = None
    auto_create_indexes: Annotated[
        Literal[True] | None, Field(description="On: every field can be filtered without an index.")
    ] = None
    config: NotYet = None
    storage: NotYet = None

    @model_validator(mode="after")
    def _has_an_id(self) -> StandaloneCreate:
        if self.namespace_id is None and not re.match(NAMESPACE_ID_PATTERN, self.namespace_name or ""):
            raise ValueError(
                "namespace_id is missing, and namespace_name cannot take its place: "
                "1 to 128 letters, digits, _ and -, the first a letter or digit"
            )
        return self

    def identity(self) -> tuple[str, str]:
        """The id and the name."""
        namespace_id = self.namespace_id or self.namespace_name or ""
        return namespace_id, self.namespace_name or namespace_id[:64]


class StandaloneAnswer(BaseModel):
    namespace_id: str
    mode: Literal["standalone"] = "standalone"
    status: Literal["active"] = "active"
    vector_configs: list[dict[str, Any]] | None
    document_count: int = 0
    warnings: list[str] = []


class NamespaceChange(NamespaceOptions):
    """What to change; what is left out or null stays as it is."""

    namespace_name: Annotated[str | None, Field(min_length=3, max_length=64), Printable] = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    payload_indexes: Annotated[
        list[PayloadIndex] | None, Field(max_length=1_000, description="Replaced whole.")
    ] = None
    feature_extractors: NotYet = None
    expires_at: NotYet = None
    pinned: NotYet = None
    repair_vectors: NotYet = None


class NamespaceStats(BaseModel):
    """Counted exactly, now."""

    namespace_id: str
    document_count: int
    document_count_complete: Literal[True] = True
    collection_count: int


class NamespaceIds(RequestModel):
    namespace_ids: Annotated[list[str], Field(max_length=100)]


class NamespaceStatsBatch(BaseModel):
    """By the ids and names asked for; those that do not exist are left out."""

    stats: dict[str, NamespaceStats]


class Namespace(BaseModel):
    """A namespace. The counts are known only where one namespace is read."""

    object: Literal["namespace"] = "namespace"
    namespace_id: str
    namespace_name: str
    description: str | None = None
    mode: Literal["managed", "standalone"] = "managed"
    feature_extractors: list[dict[str, Any]] = []
    payload_indexes: list[dict[str, Any]] = []
    vector_configs: list[dict[str, Any]] | None = None
    document_count: int | None = None
    collection_count: int | None = None
    namespace_ready: bool = True
    created_at: str
    updated_at: str
    expires_at: str | None = None
    warnings: list[str] = []


class NamespaceList(BaseModel):
    results: list[Namespace]
    pagination: Pagination
    total_count: int
    stats: None = None


class NamespaceDeletion(BaseModel):
    """The namespace is gone at once; its contents are removed in the background."""

    message: str
    success: Literal[True] = True
    task_id: str
    status: Literal["PENDING"] = "PENDING"
