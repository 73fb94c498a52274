"""The feature extractors as discovery describes them; collection_features.py checks their use."""

from __future__ import annotations

from typing import Any

from api.schemas.discovery import ExtractorDiscovery
from api.services.resources.collection_features import PASSTHROUGH
from shared.documents.features import TEXT_EXTRACTOR
from shared.embeddings.models import EmbeddingModel, embedding_models
from shared.settings import Settings

_NAME, _VERSION = TEXT_EXTRACTOR.removeprefix("mixpeek://").split("@")


def describe_extractors(settings: Settings) -> list[ExtractorDiscovery]:
    """The one that embeds text, then the one that does nothing."""
    return [_text_extractor(list(embedding_models(settings).values())), _passthrough()]


def _text_extractor(models: list[EmbeddingModel]) -> ExtractorDiscovery:
    """`models`: the default first."""
    default = models[0].name
    model_schema = {"type": "string", "enum": [model.name for model in models], "default": default}
    return ExtractorDiscovery(
        name=_NAME,
        version=_VERSION,
        description="Embeds the text of each document, or of the fields that input_mappings.text names.",
        supported_modalities=["text"],
        supported_input_types=["text"],
        output_features=[
            {"feature_uri": each.feature_uri, "description": each.description} for each in models
        ],
        required_vector_indexes=[_index(each) for each in models],
        parameter_schema={"type": "object", "properties": {"embedding_model": model_schema}},
        default_parameters={"embedding_model": default},
        capabilities=["batch", "realtime"],
        example_usage={
            "feature_extractor_name": _NAME,
            "version": _VERSION,
            "input_mappings": {"text": ["title", "text"]},
            "parameters": {"embedding_model": default},
        },
    )


def _index(model: EmbeddingModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "feature_uri": model.feature_uri,
        "dimensions": model.dimensions,
        "distance": "cosine",
    }


def _passthrough() -> ExtractorDiscovery:
    reference = {"feature_extractor_name": PASSTHROUGH.feature_extractor_name, "version": PASSTHROUGH.version}
    return ExtractorDiscovery(
        name=PASSTHROUGH.feature_extractor_name,
        version=PASSTHROUGH.version,
        description="Extracts nothing: documents are found by keywords, filters and vectors of their own.",
        supported_modalities=[],
        supported_input_types=[],
        output_features=[],
        required_vector_indexes=[],
        parameter_schema={"type": "object", "properties": {}},
        default_parameters={},
        capabilities=[],
        example_usage=reference,
    )
