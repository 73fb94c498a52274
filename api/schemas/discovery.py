"""What an installation can do, for clients that configure it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from api.schemas.retrievers import StageDescription


class StageDiscovery(StageDescription):
    """A stage with what helps to choose it."""

    cost_tier: Literal["cheap", "moderate", "expensive"]
    requires_collections: bool


class ExtractorDiscovery(BaseModel):
    """A feature extractor that collections can name."""

    name: str
    version: str
    description: str
    supported_modalities: list[str]
    supported_input_types: list[str]
    output_features: list[dict[str, Any]]
    required_vector_indexes: list[dict[str, Any]]
    parameter_schema: dict[str, Any]
    default_parameters: dict[str, Any]
    capabilities: list[str]
    example_usage: dict[str, Any]


class Discovery(BaseModel):
    extractors: list[ExtractorDiscovery]
    stages: list[StageDiscovery]
    manifest_schema: None = None  # there are no manifests
