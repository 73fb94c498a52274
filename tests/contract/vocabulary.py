"""JSON Schemas of what the OpenAPI document leaves open: filters, stages, fields and ids that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.filters.ast import OPERATORS
from tests.contract.scenes import GENRES

Schema = Mapping[str, Any]
# Name of a property -> what means something there.
Vocabulary = Mapping[str, Schema]

_FIELDS: Schema = {"enum": ["genre", "year", "text", "document_id", "missing.field"]}
_SCALAR: Schema = {"enum": [*GENRES, 1970, 1985.5, True, None, "{{INPUT.query}}"]}
_CONDITION: Schema = {
    "type": "object",
    "properties": {
        "field": _FIELDS,
        "operator": {"enum": sorted(OPERATORS)},
        "value": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "maxItems": 3}]},
        "case_sensitive": {"type": "boolean"},
    },
    "required": ["field", "operator", "value"],
    "additionalProperties": False,
}
_CONDITIONS: Schema = {"type": "array", "items": _CONDITION, "maxItems": 3}
_FILTERS: Schema = {
    "anyOf": [
        _CONDITION,
        *(
            {"type": "object", "properties": {name: _CONDITIONS}, "required": [name]}
            | {"additionalProperties": False}
            for name in ("AND", "OR", "NOT")
        ),
    ]
}
_NAME: Schema = {"type": "string", "pattern": "^[a-z]{5}_[0-9]{3}$"}
# Channels of alerts that reach nobody: the name can never be found (RFC 6761, 6.4).
NOBODY: Mapping[str, Any] = {
    "channels": [{"channel_type": "webhook", "config": {"url": "https://alerts.invalid/in"}}]
}
_INPUTS: Schema = {"type": "object", "properties": {"query": {"enum": ["book", "trains", "", 7, None]}}}


def vocabulary(
    collections: Sequence[str],
    document_ids: Sequence[str],
    feature_uri: str,
    catalogue: Sequence[Mapping[str, Any]],
    *,
    retrievers: Sequence[str],
    alerts: Sequence[str],
) -> Vocabulary:
    """Of an installation with these. The stages are as `catalogue` describes them, parameters included."""
    known: Vocabulary = {
        **dict.fromkeys(("namespace_name", "collection_name", "retriever_name", "name"), _NAME),
        "field": _FIELDS,
        "filters": _FILTERS,
        "conditions": _FILTERS,
        "inputs": _INPUTS,
        "feature_uri": {"enum": ["text", feature_uri]},
        "collection_id": {"enum": list(collections)},
        "collection_ids": _some(collections),
        "collection_identifiers": _some(collections),
        "document_ids": _some(document_ids),
        "retriever_id": {"enum": list(retrievers)},
        "notification_config": {"const": NOBODY},
        "alert_applications": {"type": "array", "items": _application(alerts), "maxItems": 1},
        "updates": {"type": "array", "items": _update(document_ids), "maxItems": 3},
    }
    stages = [richer(_stage(entry), known) for entry in catalogue]
    return {**known, "stages": {"type": "array", "items": {"anyOf": stages}, "minItems": 1, "maxItems": 3}}


def richer(schema: Any, known: Vocabulary) -> Any:
    """The same schema, where a property of a known name may also be what means something there."""
    if isinstance(schema, list):
        return [richer(each, known) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: richer(part, known) for key, part in schema.items()}
    if isinstance(properties := made.get("properties"), dict):
        made["properties"] = {
            name: {"anyOf": [known[name], part]} if name in known else part
            for name, part in properties.items()
        }
    return made


def _some(values: Sequence[str]) -> Schema:
    return {
        "type": "array",
        "items": {"enum": list(values)},
        "minItems": 1,
        "maxItems": 3,
        "uniqueItems": True,
    }


def _application(alerts: Sequence[str]) -> Schema:
    mapping = {"input_key": "query", "source": {"source_type": "document_field", "path": "text"}}
    properties = {
        "alert_id": {"enum": list(alerts)},
        "execution_mode": {"const": "on_ingest"},
        "input_mappings": {"const": [mapping]},
    }
    return {"type": "object", "properties": properties, "required": ["alert_id", "input_mappings"]}


def _update(document_ids: Sequence[str]) -> Schema:
    data = {"type": "object", "properties": {"year": {"type": "integer"}, "genre": {}}, "minProperties": 1}
    properties = {"document_id": {"enum": list(document_ids)}, "update_data": data}
    return {"type": "object", "properties": properties, "required": ["document_id", "update_data"]}


def _stage(entry: Mapping[str, Any]) -> dict[str, Any]:
    schema = entry["parameter_schema"]
    parameters = _inlined(schema, schema.get("$defs", {}))
    config = {
        "type": "object",
        "properties": {"stage_id": {"const": entry["stage_id"]}, "parameters": parameters},
        "required": ["stage_id", "parameters"],
    }
    properties = {"stage_name": {"type": "string", "minLength": 1, "maxLength": 20}, "config": config}
    return {"type": "object", "properties": properties, "required": ["stage_name", "config"]}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The same schema without references to its `$defs`, of which none refers to itself."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions.get(schema.get("$ref", "").removeprefix("#/$defs/"), {})
    whole = {**named, **schema}
    return {key: _inlined(part, definitions) for key, part in whole.items() if key not in ("$ref", "$defs")}
