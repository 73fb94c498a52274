"""Collections: what a client sends and gets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.schemas.alert_applications import AlertApplications
from api.schemas.common import Degraded, ListBody, NotYet, Pagination, Printable, RequestModel


def _refuse_change(value: Any) -> Any:
    if value is not None:
        raise ValueError("cannot be changed; make another collection, or clone this one")
    return value


# What the stored documents were written by: changed, it would hold for new documents only.
Fixed = Annotated[Any, AfterValidator(_refuse_change), Field(description="Cannot be changed.")]


class Source(RequestModel):
    """Where the documents come from. Only direct writes bring any; the other types are kept and shown."""

    type: Literal["direct_upsert", "none", "bucket", "collection"] = "direct_upsert"
    bucket_ids: list[str] | None = None
    collection_id: str | None = None
    collection_ids: list[str] | None = None
    source_filters: dict[str, Any] | None = None
    field_map: dict[str, Any] | None = None


class FeatureExtractor(RequestModel):
    """Which text of a document is embedded, and how.

    `text_extractor` embeds the text of the field that `input_mappings.text` names (or of several, given as a
    list; by default `text`, else `content`) with the model `parameters.embedding_model`.
    `passthrough_extractor` embeds nothing.
    """

    feature_extractor_name: Annotated[str, Field(min_length=1, max_length=100)]
    version: Annotated[str, Field(min_length=1, max_length=50)] = "v1"
    input_mappings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    field_passthrough: list[Any] | None = None
    include_all_source_fields: bool = False


class CollectionOptions(RequestModel):
    """What is the same when a collection is made, copied or changed; most of it it cannot be given yet."""

    embedding_task: NotYet = None
    schedule: NotYet = None
    document_schema: NotYet = None
    alert_applications: AlertApplications = None
    taxonomy_applications: NotYet = None
    cluster_applications: NotYet = None
    retriever_enrichments: NotYet = None
    retriever_transform: NotYet = None


class CollectionCreate(CollectionOptions):
    collection_name: Annotated[
        str, Field(min_length=3, max_length=100, description="Unique in its namespace."), Printable
    ]
    source: Source = Source()
    description: Annotated[str | None, Field(max_length=10_000)] = None
    feature_extractor: FeatureExtractor | None = None
    input_schema: Annotated[
        dict[str, Any] | None, Field(description='`{"properties": {name: {"type"}}}`; kept and shown.')
    ] = None
    enabled: bool = True
    metadata: dict[str, Any] | None = None
    features: Annotated[
        list[str] | None, Field(min_length=1, description="The feature's URI, instead of feature_extractor.")
    ] = None


class CollectionChange(CollectionOptions):
    """What to change; what is left out or null stays as it is."""

    collection_name: Annotated[str | None, Field(min_length=3, max_length=100), Printable] = None
    description: Annotated[str | None, Field(max_length=10_000)] = None
    enabled: bool | None = None
    metadata: Annotated[dict[str, Any] | None, Field(description="Replaced whole.")] = None
    source: Fixed = None
    feature_extractor: Fixed = None
    features: Fixed = None
    input_schema: Fixed = None


class CollectionClone(CollectionOptions):
    """The copy's name, and what is different about it. Documents and attached alerts are not copied."""

    collection_name: Annotated[str, Field(min_length=3, max_length=100), Printable]
    description: Annotated[str | None, Field(max_length=10_000)] = None
    source: Source | None = None
    feature_extractor: FeatureExtractor | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None


class FeatureIndex(BaseModel):
    name: str
    description: Annotated[str, Field(min_length=10)]
    type: Literal["dense", "multi_dense"]
    dimensions: int
    distance: Literal["cosine"] = "cosine"


class CollectionFeature(BaseModel):
    """Vectors that a search of the collection can name."""

    feature_address: str
    feature_uri: str
    feature_extractor_name: str
    version: str
    vector_index: FeatureIndex
    primary: bool


class CollectionFeatures(BaseModel):
    features: list[CollectionFeature]


class CollectionListBody(ListBody):
    include_system: bool = False


class Collection(BaseModel):
    """A collection. `document_count` is known only where one collection is read."""

    collection_id: str
    collection_name: str
    description: str | None = None
    source: dict[str, Any]
    feature_extractor: dict[str, Any]
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    enabled: bool = True
    vector_indexes: list[dict[str, Any]] = []
    payload_indexes: list[dict[str, Any]] = []
    alert_applications: list[dict[str, Any]] = []
    document_count: int | None = None
    created_at: str
    updated_at: str
    lifecycle_state: Literal["active"] = "active"
    schema_version: int = 1
    schema_validation: Literal["off"] = "off"
    is_system: bool = False
    warnings: list[str] = []


class CollectionCloned(BaseModel):
    collection: Collection
    source_collection_id: str


class CollectionList(BaseModel):
    results: list[Collection]
    pagination: Pagination
    total_count: int
    stats: None = None
    warnings: list[Degraded] = []
