"""What of a collection's documents becomes vectors: as it is asked for, and as it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.schemas.collections import CollectionCreate, CollectionFeature, FeatureExtractor, FeatureIndex
from shared.documents.features import TEXT_ALIASES, TEXT_EXTRACTOR
from shared.documents.store import CollectionShape, TextEmbedding, VectorIndex, vector_name
from shared.embeddings.models import EmbeddingModel
from shared.errors import InvalidInput
from shared.filters.paths import validate_path

# What clients must be shown where nothing is extracted.
PASSTHROUGH = FeatureExtractor(feature_extractor_name="passthrough_extractor", version="v1")

_TEXT = "text_extractor"
_VERSION = "v1"
_MODEL_PARAMETER = "embedding_model"
_MAPPED = "text"
_FIELDS_MAX = 20

Models = Mapping[str, EmbeddingModel]


def extractor_of(request: CollectionCreate) -> FeatureExtractor:
    """The extractor, also where it is asked for by a feature URI.

    Raises:
        InvalidInput: an extractor that Kennel does not have, or two ways of asking that disagree.
    """
    if request.features:
        if request.feature_extractor is not None:
            raise InvalidInput.at(["features"], "says the same as feature_extractor; leave one of them out")
        return _extractor_of_feature(request.features)
    extractor = request.feature_extractor or PASSTHROUGH
    known = (f"{_TEXT}/{_VERSION}", f"{PASSTHROUGH.feature_extractor_name}/{PASSTHROUGH.version}")
    asked = f"{extractor.feature_extractor_name}/{extractor.version}"
    if asked not in known:
        there_are = " and ".join(known)
        raise InvalidInput.at(
            ["feature_extractor"], f"there is no extractor {asked}; there are {there_are}", value=asked
        )
    return extractor


def text_embedding(extractor: FeatureExtractor, models: Models) -> TextEmbedding | None:
    """Which text Kennel embeds, and how; None: none.

    Raises:
        InvalidInput: an unknown model, or an input mapping that names no fields.
    """
    if extractor.feature_extractor_name != _TEXT:
        return None
    name = (extractor.parameters or {}).get(_MODEL_PARAMETER) or next(iter(models))
    if not isinstance(name, str) or name not in models:
        raise InvalidInput.at(
            ["feature_extractor", "parameters", _MODEL_PARAMETER],
            f"there is no embedding model {name!r}; there are {', '.join(models)}",
            value=name,
        )
    fields = _fields((extractor.input_mappings or {}).get(_MAPPED))
    return TextEmbedding(name, models[name].dimensions, fields)


def ignored(extractor: FeatureExtractor) -> list[str]:
    """Warnings about keys of the extractor that mean nothing here."""
    mappings = [key for key in extractor.input_mappings or {} if key != _MAPPED]
    parameters = [key for key in extractor.parameters or {} if key != _MODEL_PARAMETER]
    places = [f"input_mappings.{key}" for key in mappings] + [f"parameters.{key}" for key in parameters]
    return [f"feature_extractor.{place} is unknown and was ignored" for place in places]


def vector_indexes(shape: CollectionShape) -> list[dict[str, Any]]:
    """As a collection's answer shows them (contract 7)."""
    return [
        {
            "name": index.name,
            "feature_uri": _feature_uri(shape, index),
            "type": "multi" if index.several else "single",
            "index": {
                "name": index.name,
                "dimensions": index.dimensions,
                "distance": index.metric,
                "inference_name": index.name if _is_derived(shape, index) else None,
            },
        }
        for index in shape.indexes
    ]


def features(shape: CollectionShape) -> list[CollectionFeature]:
    """What a search of the collection can name; its own text embedding is the primary one."""
    return [_feature(shape, index) for index in shape.indexes]


def _feature(shape: CollectionShape, index: VectorIndex) -> CollectionFeature:
    uri = _feature_uri(shape, index)
    derived = _is_derived(shape, index)
    origin = "made by Kennel of each document's text" if derived else "given by the writer of each document"
    return CollectionFeature(
        feature_address=uri,
        feature_uri=uri,
        feature_extractor_name=_TEXT if derived else PASSTHROUGH.feature_extractor_name,
        version=_VERSION,
        vector_index=FeatureIndex(
            name=index.name,
            description=f"Vectors {index.name}, {origin}",
            type="multi_dense" if index.several else "dense",
            dimensions=index.dimensions,
        ),
        primary=derived,
    )


def _is_derived(shape: CollectionShape, index: VectorIndex) -> bool:
    return shape.embedding is not None and shape.embedding.model == index.name


def _feature_uri(shape: CollectionShape, index: VectorIndex) -> str:
    return f"{TEXT_EXTRACTOR}/{index.name}" if _is_derived(shape, index) else index.name


def _extractor_of_feature(uris: list[str]) -> FeatureExtractor:
    uri = uris[0]
    if len(uris) > 1 or not (uri == TEXT_EXTRACTOR or uri.startswith(f"{TEXT_EXTRACTOR}/")):
        raise InvalidInput.at(
            ["features"], f"one feature of {TEXT_EXTRACTOR} is expected, not {', '.join(uris)}", value=uris
        )
    model = {} if uri in TEXT_ALIASES else {_MODEL_PARAMETER: vector_name(uri)}
    return FeatureExtractor(feature_extractor_name=_TEXT, version=_VERSION, parameters=model)


def _fields(mapped: Any) -> tuple[str, ...]:
    """The dotted paths that `input_mappings.text` names: one, or a list of them."""
    at = ("feature_extractor", "input_mappings", _MAPPED)
    paths = [mapped] if isinstance(mapped, str) else mapped
    if paths is None:
        return ()
    if not isinstance(paths, list) or not 1 <= len(paths) <= _FIELDS_MAX:
        raise InvalidInput.at(at, f"a field or a list of 1 to {_FIELDS_MAX} fields is expected", value=mapped)
    return tuple(validate_path(path, at) for path in paths)
