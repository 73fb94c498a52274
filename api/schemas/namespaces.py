"""Namespaces: what a client sends and gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.common import NotYet, Pagination, Printable, RequestModel

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


class NamespaceCreate(RequestModel):
    namespace_name: Annotated[str, Field(min_length=3, max_length=64, description="Unique."), Printable]
    namespace_id: Annotated[
        str | None, Field(pattern=NAMESPACE_ID_PATTERN, description="Made by the server when left out.")
    ] = None
    mode: Annotated[Literal["managed"], Field(description="`standalone` is not supported yet.")] = "managed"
    description: Annotated[str | None, Field(max_length=10_000)] = None
    feature_extractors: list[FeatureExtractorRef] | None = None
    payload_indexes: Annotated[list[PayloadIndex] | None, Field(max_length=1_000)] = None
    features: NotYet = None
    vector_configs: NotYet = None
    auto_create_indexes: NotYet = None
    adaptive_indexing: NotYet = None
    ttl_seconds: NotYet = None
    infrastructure: NotYet = None
    trusted_issuers: NotYet = None
    tiering: NotYet = None
    spend_budget: NotYet = None
    cost_cap_override: NotYet = None


class NamespaceChange(RequestModel):
    """What to change; what is left out or null stays as it is."""

    namespace_name: Annotated[str | None, Field(min_length=3, max_length=64), Printable] = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    payload_indexes: Annotated[
        list[PayloadIndex] | None, Field(max_length=1_000, description="Replaced whole.")
    ] = None
    ttl_seconds: NotYet = None
    expires_at: NotYet = None
    auto_create_indexes: NotYet = None


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
    mode: Literal["managed"] = "managed"
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
