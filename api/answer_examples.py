"""More examples of the OpenAPI document: answers about keys, batches, figures, changes and health."""

from __future__ import annotations

from typing import Any

from api.examples import MODELS as _DEMO

_DOCUMENT = _DEMO["Document"]
_EXECUTION = _DEMO["Execution"]
_AT = _EXECUTION["created_at"]
_ENDED_AT = _EXECUTION["completed_at"]
_FEATURE = _DEMO["CollectionFeature"]["feature_uri"]
_INDEX = _DEMO["CollectionFeature"]["vector_index"]
_BATCH_ID = "batch_k2v8w0m4q7rtd3xz"
_KEY = {
    "key_id": "key_5b0d7e2f91a3",
    "key_hash": "9f2c4e61d7b8",
    "key_prefix": "sk_8t3aq",
    "key_type": "standard",
    "internal_id": "org_kennel",
    "organization_id": "org_kennel",
    "user_id": "ada@example.com",
    "name": "laptop",
    "description": "of the laptop",
    "permissions": ["read", "write"],
    "scopes": [{"resource_type": "namespace", "resource_id": _DEMO["Namespace"]["namespace_id"]}],
    "default_wait_s": None,
    "status": "active",
    "created_at": _AT,
    "created_by": "admin@localhost",
    "expires_at": None,
    "revoked_at": None,
    "revoked_by": None,
}
_REFUSED_LINE = {
    "line": 17,
    "error": {
        "message": "the line is not valid JSON: unexpected end of data",
        "code": "invalid_json",
        "details": {},
    },
}
_STAGE_COST = {"cost_tier": "cheap", "requires_collections": False}
_LIST = {
    "results": [_DOCUMENT],
    "groups": None,
    "pagination": _DEMO["Pagination"],
    "total_documents": None,
    "stats": {
        "total_documents": None,
        "avg_blobs_per_document": 0.0,
        "total_groups": None,
        "avg_documents_per_group": None,
    },
    "warnings": [],
    "group_by_field": None,
    "unknown_collection_ids": None,
}

# Name of a model -> an example of it.
MODELS: dict[str, Any] = {
    "ApiKey": _KEY,
    "ApiKeyWithSecret": {**_KEY, "key": "sk_8t3aqw5m0c7xk2nvh9y4rj6bd1zfeps3"},
    "Deleted": {"message": "deleted", "success": True},
    "Beat": {"beat_running": True, "last_heartbeat": _AT, "age_seconds": 0.6},
    "DeepHealth": {
        "status": "DEGRADED",
        "data": {
            "cache": True,
            "metadata": True,
            "vector_store": True,
            "object_storage": True,
            "task_queue": True,
            "inference": False,
            "analytics": None,
        },
        "errors": {"inference": "no worker is online"},
        "meta": {"version": "0.1.0"},
    },
    "ExtractorDiscovery": {
        "name": "text_extractor",
        "version": "v1",
        "description": "Makes a vector of a document's text.",
        "supported_modalities": ["text"],
        "supported_input_types": ["text"],
        "output_features": [{"feature_uri": _FEATURE, "description": _INDEX["description"]}],
        "required_vector_indexes": [
            {"name": _INDEX["name"], "feature_uri": _FEATURE, "dimensions": 256, "distance": "cosine"}
        ],
        "parameter_schema": {"type": "object", "properties": {"embedding_model": {"type": "string"}}},
        "default_parameters": {"embedding_model": _INDEX["name"]},
        "capabilities": ["batch", "realtime"],
        "example_usage": {"feature_extractor_name": "text_extractor", "version": "v1"},
    },
    "StageDiscovery": {**_DEMO["StageDescription"], **_STAGE_COST},
    "StandaloneAnswer": {
        "namespace_id": "photos",
        "mode": "standalone",
        "status": "active",
        "vector_configs": _DEMO["StandaloneCreate"]["vector_configs"],
        "document_count": 0,
        "warnings": [],
    },
    "NamespaceLimits": {"namespace_id": "ns_demo", "running": 4, "waiting": 10_000, "warnings": []},
    "NamespaceStatsBatch": {"stats": {"demo": _DEMO["NamespaceStats"]}},
    "DocumentList": _LIST,
    "ListBatchAnswer": {
        "results": [
            {"key": "classes", "response": _LIST, "error": None},
            {"key": "novels", "response": None, "error": "limit: must be at least 1"},
        ]
    },
    "AggregationAnswer": {
        "results": [
            {"group": {"module": "bz2"}, "metrics": {"documents": 12}},
            {"group": {"module": "json"}, "metrics": {"documents": 9}},
        ],
        "total_groups": 2,
        "query_info": {},
    },
    "DistinctAnswer": {
        "field": "kind",
        "values": [{"value": "function", "count": 2100}, {"value": "class", "count": 900}],
        "total_distinct": 2,
        "query_info": None,
    },
    "DocumentBatchUpdateAnswer": {
        "updated_count": 1,
        "failed_count": 0,
        "results": [{"document_id": _DOCUMENT["document_id"], "success": True, "error": None}],
        "message": "1 documents updated",
    },
    "DocumentBulkUpdateAnswer": {
        "task_id": None,
        "status": "COMPLETED",
        "updated_count": 900,
        "message": "900 documents updated",
    },
    "CancelAnswer": {
        "execution_id": _EXECUTION["execution_id"],
        "status": "cancelled",
        "outcome": "stopping",
        "stops_after": "search",
        "forced_after_s": 10.0,
        "forced_by": "exception",
    },
    "BatchUpload": {
        "batch_id": _BATCH_ID,
        "lines": 5000,
        "accepted": 4999,
        "replayed": 0,
        "refused": 1,
        "refused_lines": [_REFUSED_LINE],
        "complete": True,
    },
    "BatchRead": {
        "batch_id": _BATCH_ID,
        "status": "running",
        "complete": True,
        "submitted": 4999,
        "counts": {
            "pending": 1991,
            "processing": 8,
            "completed": 2997,
            "degraded": 0,
            "failed": 3,
            "cancelled": 0,
        },
        "finished": 3000,
        "failed": 3,
        "refused": 1,
        "refused_lines": [_REFUSED_LINE],
        "rate_per_s": 300.0,
        "rate_over": "recent",
        "eta_s": 6.7,
        "created_at": _AT,
        "started_at": _AT,
        "ended_at": None,
        "cancelled_at": None,
    },
    "BatchCancellation": {
        "batch_id": _BATCH_ID,
        "removed_from_queue": 1991,
        "stopping": 8,
        "already_terminal": 3000,
    },
}
# Lines of NDJSON have no model among the components. A failed one: the framework would leave nulls out.
BATCH_RESULT_LINE = {
    "line": 1,
    "id": "row-1",
    "expired": False,
    "execution_id": _EXECUTION["execution_id"],
    "status": "failed",
    "error": "stage 'search' (0): the collection 'novels' is gone",
    "documents": [],
}

# Name of a parameter -> what it is in the demo.
PARAMETERS = {"user_email": "ada@example.com", "key_name": "laptop", "batch_id": _BATCH_ID}
