"""The examples of the OpenAPI document, all from the demo.

A model that is not here gets its example from those of its parts.
"""

from __future__ import annotations

from typing import Any

_AT = "2026-11-22T07:45:20.409Z"
_ENDED_AT = "2026-11-22T07:45:20.449Z"
_EXPIRES_AT = "2026-11-23T07:45:20.449Z"
_NAMESPACE_ID = "ns_7f3kq29dza"
_COLLECTION_ID = "col_4v8mw1xkpe"
_RETRIEVER_ID = "ret_9c2hd6tuyb"
_DOCUMENT_ID = "doc_1f0b7c64a2"
_EXECUTION_ID = "exec_mz4k8w2q9tjx"
_ADHOC_ID = "exec_b7n5r3e1ypsd"
_TASK_ID = "6f0d9bb2-4a0e-4c57-9a52-3b8a5a1f7c11"
_WEBHOOK_ID = "wh_5d1c0f3a9b7e2468"
_EVENT_ID = "evt_mz4k8w2q9tjx"
_DELIVERY_ID = f"dlv_mz4k8w2q9tjx_{_WEBHOOK_ID}_0"
_HASH = "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"
_FEATURE = "mixpeek://text_extractor@v1/wordllama_l2_supercat_v1"
_SEARCHES = [
    {
        "feature_uri": _FEATURE,
        "query": {"input_mode": "text", "value": "{{INPUT.query}}"},
        "lexical": True,
    }
]
_SEARCH = {"stage_id": "feature_search", "parameters": {"searches": _SEARCHES, "final_top_k": 20}}
_STAGES = [{"stage_name": "search", "config": _SEARCH}]
_QUERY_INPUT = {"query": {"type": "string", "required": True, "description": "What to look for."}}
_COLLECTION = {
    "collection_id": _COLLECTION_ID,
    "collection_name": "python_docs",
    "source": {"type": "direct_upsert"},
    "feature_extractor": {
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "feature_extractor_id": "text_extractor_v1",
    },
    "enabled": True,
    "document_count": 3000,
    "created_at": _AT,
    "updated_at": _AT,
}
_RETRIEVER = {
    "retriever_id": _RETRIEVER_ID,
    "retriever_name": "search_python_docs",
    "collection_ids": [_COLLECTION_ID],
    "collection_identifiers": [_COLLECTION_ID],
    "stages": [
        {
            "stage_name": "search",
            "stage_type": "filter",
            "config": _SEARCH,
            "parameters": _SEARCH["parameters"],
            "on_error": "error",
            "description": None,
        }
    ],
    "input_schema": _QUERY_INPUT,
    "version": 1,
    "created_at": _AT,
    "updated_at": _AT,
}
_RESULT = {
    "document_id": _DOCUMENT_ID,
    "collection_id": _COLLECTION_ID,
    "score": 0.0325,
    "payload": {"title": "bz2.compress", "kind": "function"},
}
_STATISTICS = {
    "stages": {"search": {"input_count": 0, "output_count": 1, "duration_ms": 26.5, "efficiency": 0.0}},
    "total_time_ms": 28.6,
    "credits_used": 0.01,
}
_EXECUTION = {
    "execution_id": _EXECUTION_ID,
    "retriever_id": _RETRIEVER_ID,
    "retriever_name": "search_python_docs",
    "status": "completed",
    "revision": 4,
    "attempt": 1,
    "created_at": _AT,
    "started_at": _AT,
    "completed_at": _ENDED_AT,
    "expires_at": _EXPIRES_AT,
    "current_stage": None,
    "stages_completed": 1,
    "total_stages": 1,
    "wait_reason": None,
    "retry_at": None,
    "queue_position": None,
    "documents": [_RESULT],
    "pagination": {
        "method": "cursor",
        "limit": 20,
        "returned": 1,
        "total": 1,
        "cursor": None,
        "has_next": False,
    },
    "stage_statistics": _STATISTICS,
    "budget": {"credits_used": 0.01, "credits_remaining": None, "time_used_ms": 28.6},
    "error": None,
    "warnings": [],
    "interpretation": {"provided_input_keys": ["query"], "ignored_input_keys": [], "relaxations": []},
    "is_partial": False,
    "partial_from_stage": None,
    "resumed_from_stage": None,
}
_LINE = {
    "status": "completed",
    "duration_ms": 40.0,
    "credits_used": 0.01,
    "total_processed": 1,
    "total_returned": 1,
    "cache_hit_rate": 0.0,
    "query_summary": "compress data",
}
_ADHOC_LINE = {
    "execution_id": _ADHOC_ID,
    "execution_mode": "adhoc",
    "timestamp": _AT,
    "stages_completed": 1,
    "total_stages": 1,
    "collection_ids": [_COLLECTION_ID],
    **_LINE,
}
_TASK = {
    "task_id": _EXECUTION_ID,
    "task_type": "api_retrievers_execute",
    "status": "COMPLETED",
    "inputs": [_RETRIEVER_ID],
    "outputs": [_EXECUTION_ID],
    "additional_data": {
        "namespace_id": _NAMESPACE_ID,
        "retriever_id": _RETRIEVER_ID,
        "execution_id": _EXECUTION_ID,
        "created_at": _AT,
        "completed_at": _ENDED_AT,
        "credits_used": 0.01,
    },
}

# Name of a parameter -> what it is in the demo.
PARAMETERS: dict[str, str] = {
    "X-Namespace": "demo",
    "namespace": "demo",
    "collection": "python_docs",
    "retriever": "search_python_docs",
    "document_id": _DOCUMENT_ID,
    "execution_id": _EXECUTION_ID,
    "task_id": _EXECUTION_ID,
    "prefer": "wait=10",
}

# Name of a model -> an example of it.
_WEBHOOK = {
    "webhook_name": "results",
    "event_types": ["resource.executed", "resource.execution_failed"],
    "channels": [
        {
            "channel": "webhook",
            "configs": {"url": "https://example.com/hooks/kennel", "signing_secret": "a secret of ours"},
        }
    ],
}
_SHOWN_WEBHOOK = {
    **_WEBHOOK,
    "webhook_id": _WEBHOOK_ID,
    "resource_types": None,
    "channels": [
        {
            "channel": "webhook",
            "configs": {
                "url": "https://example.com/hooks/kennel",
                "headers": {},
                "payload_template": None,
                "timeout": 10.0,
                "signing_secret": "redacted",
            },
        }
    ],
    "is_active": True,
    "delivery_health": None,
    "created_at": _AT,
    "updated_at": _AT,
    "warnings": [],
}
_DELIVERY = {
    "delivery_id": _DELIVERY_ID,
    "webhook_id": _WEBHOOK_ID,
    "channel": 0,
    "event_id": _EVENT_ID,
    "event_type": "resource.executed",
    "status": "delivered",
    "tries": 1,
    "created_at": _ENDED_AT,
    "next_attempt_at": None,
    "payload": {
        "event_id": _EVENT_ID,
        "event_type": "resource.executed",
        "timestamp": _ENDED_AT,
        "namespace_id": _NAMESPACE_ID,
        "resource_type": "retriever",
        "resource_id": _RETRIEVER_ID,
        "execution_id": _EXECUTION_ID,
        "status": "completed",
        "error": None,
        "created_at": _AT,
        "completed_at": _ENDED_AT,
        "duration_ms": 34,
        "stages_completed": 1,
    },
    "attempts": [
        {"attempted_at": _ENDED_AT, "duration_ms": 48, "status_code": 200, "error": None, "response": "ok"}
    ],
}
MODELS: dict[str, Any] = {
    "WebhookCreate": _WEBHOOK,
    "WebhookUpdate": {"is_active": True},
    "WebhookListBody": {"event_type": "resource.executed", "is_active": True},
    "RotateBody": {"grace_period_s": 86_400},
    "Webhook": _SHOWN_WEBHOOK,
    "RotatedSecret": {
        "webhook_id": _WEBHOOK_ID,
        "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "previous_expires_at": _EXPIRES_AT,
        "warnings": [],
    },
    "Delivery": _DELIVERY,
    "WebhookTest": {"event_id": _EVENT_ID, "delivery_ids": [_DELIVERY_ID]},
    "ApiKeyCreate": {"name": "laptop", "permissions": ["read", "write"]},
    "ApiKeyUpdate": {"description": "of the laptop", "permissions": ["read"]},
    "AggregationRequest": {
        "aggregations": [{"function": "count", "alias": "documents"}],
        "group_by": [{"field": "module"}],
    },
    "DocumentBatchUpdate": {
        "updates": [{"document_id": _DOCUMENT_ID, "update_data": {"metadata.status": "read"}}]
    },
    "DocumentBulkUpdate": {
        "filters": {"field": "kind", "operator": "eq", "value": "class"},
        "update_data": {"metadata.status": "read"},
    },
    # What is sent
    "NamespaceCreate": {"namespace_name": "books"},
    "NamespaceChange": {"description": "What we have read."},
    "NamespaceIds": {"namespace_ids": ["demo"]},
    "CollectionCreate": {
        "collection_name": "novels",
        "feature_extractor": {
            "feature_extractor_name": "text_extractor",
            "version": "v1",
            "input_mappings": {"text": "plot"},
        },
    },
    "LimitsBody": {"running": 4, "waiting": 10_000},
    "StandaloneCreate": {
        "namespace_id": "photos",
        "vector_configs": [{"name": "image", "dimension": 512, "metric": "cosine"}],
    },
    "CollectionChange": {"description": "Novels and stories."},
    "CollectionClone": {"collection_name": "novels_2"},
    "DocumentCreate": {
        "title": "Emma",
        "plot": "A young woman makes matches.",
        "year": 1815,
    },
    "UpsertBody": {
        "collection_id": "novels",
        "documents": [
            {"document_id": "emma", "payload": {"title": "Emma", "plot": "A young woman makes matches."}},
            {"document_id": "dune", "payload": {"title": "Dune", "plot": "A desert planet and its heir."}},
        ],
    },
    "DocumentBatchGet": {"document_ids": ["emma", "dune"]},
    "DocumentDeleteBody": {"document_ids": ["emma"]},
    "DocumentListBody": {
        "filters": {"field": "kind", "operator": "eq", "value": "class"},
        "sort": {"field": "title", "direction": "asc"},
        "limit": 10,
    },
    "NamespaceListBody": {
        "collection_ids": ["python_docs", "novels"],
        "filters": {"field": "kind", "operator": "exists", "value": True},
        "limit": 10,
    },
    "ListBatchBody": {
        "queries": [
            {"key": "classes", "request": {"filters": {"field": "kind", "operator": "eq", "value": "class"}}},
            {"key": "novels", "request": {"collection_ids": ["novels"], "limit": 5}},
        ]
    },
    "DistinctRequest": {"field": "kind", "limit": 100},
    "ListBody": {"search": "python*", "sort": {"field": "created_at", "direction": "desc"}, "limit": 20},
    "CollectionListBody": {"search": "python*", "limit": 20, "include_system": False},
    "RetrieverCreate": {
        "retriever_name": "search_novels",
        "collection_identifiers": ["novels"],
        "input_schema": _QUERY_INPUT,
        "stages": _STAGES,
    },
    "RetrieverChange": {"description": "By keywords."},
    "RetrieverClone": {"retriever_name": "search_novels_2"},
    "ExplainBody": {"inputs": {"query": "parse json"}},
    "ExecutionsListBody": {"status": "completed", "limit": 20},
    "TaskListBody": {"status": "FAILED", "limit": 20},
    "AdhocListBody": {"status": "completed", "start_time": _AT},
    # What is answered
    "Task": _TASK,
    "Alive": {"status": "ok"},
    "Health": {
        "status": "ok",
        "redis": "ok",
        "documents": "ok",
        "workers_online": 2,
        "queue_depth": 0,
        "version": "0.1.0",
        "error": None,
    },
    "Stats": {
        "namespace_id": None,
        "submitted": 120,
        "pending": 3,
        "processing": 2,
        "completed": 110,
        "degraded": 0,
        "failed": 1,
        "cancelled": 4,
        "attempts": 114,
        "requeued": 1,
        "found": {"pending": 3, "processing": 2},
        "balanced": True,
        "queues": {"kennel.normal": 3},
    },
    "Me": {
        "organization_id": "org_kennel",
        "organization_name": "kennel",
        "account_type": "self_hosted",
        "user_email": "user@example.com",
        "key": {
            "name": "laptop",
            "key_type": "standard",
            "permissions": ["read", "write"],
            "expires_at": None,
            "default_wait_s": None,
            "namespaces": None,
        },
        "rate_limits": {},
        "principal_scoped": False,
    },
    "Pagination": {
        "total": None,
        "page": 1,
        "page_size": 20,
        "total_pages": None,
        "next_page": None,
        "previous_page": None,
        "next_cursor": None,
    },
    "Degraded": {
        "resource": "namespace",
        "id": "demmo",
        "reason": "unresolved",
        "next_step": "check X-Namespace: this key can use no namespace of that id or name",
        "stage": None,
    },
    "Namespace": {
        "object": "namespace",
        "namespace_id": _NAMESPACE_ID,
        "namespace_name": "demo",
        "mode": "managed",
        "document_count": 3000,
        "collection_count": 1,
        "namespace_ready": True,
        "created_at": _AT,
        "updated_at": _AT,
    },
    "NamespaceStats": {
        "namespace_id": _NAMESPACE_ID,
        "document_count": 3000,
        "document_count_complete": True,
        "collection_count": 1,
    },
    "NamespaceDeletion": {
        "message": "namespace 'demo' is deleted; its contents are being removed",
        "success": True,
        "task_id": _TASK_ID,
        "status": "PENDING",
    },
    "Collection": _COLLECTION,
    "CollectionCloned": {"collection": _COLLECTION, "source_collection_id": "col_b3t9z2yq6h"},
    "CollectionFeature": {
        "feature_address": _FEATURE,
        "feature_uri": _FEATURE,
        "feature_extractor_name": "text_extractor",
        "version": "v1",
        "vector_index": {
            "name": "wordllama_l2_supercat_v1",
            "description": "256 dimensions, made of a document's text",
            "type": "dense",
            "dimensions": 256,
            "distance": "cosine",
        },
        "primary": True,
    },
    "Deleted": {"message": "collection 'python_docs' and its documents are deleted", "success": True},
    "Document": {
        "document_id": _DOCUMENT_ID,
        "collection_id": _COLLECTION_ID,
        "title": "bz2.compress",
        "kind": "function",
        "searchable_at": _ENDED_AT,
        "_internal": {"created_at": _AT, "updated_at": _AT, "lineage": {"source_type": "direct_upsert"}},
    },
    "DocumentBatch": {"documents": [], "not_found": ["emma", "dune"]},
    "DocumentCount": {"collection_id": _COLLECTION_ID, "count": 3000},
    "DocumentDeleteAnswer": {
        "deleted_count": 1,
        "failed_count": 0,
        "results": [{"document_id": "emma", "success": True}],
        "message": "1 documents deleted",
    },
    "UpsertAnswer": {"inserted": 2, "document_ids": ["emma", "dune"], "warnings": []},
    "StageDescription": {
        "stage_id": "sort_attribute",
        "description": "Order the documents by a field.",
        "category": "sort",
        "icon": "arrow-up-down",
        "parameter_schema": {"type": "object", "properties": {"field": {"type": "string"}}},
    },
    "Retriever": _RETRIEVER,
    "RetrieverCloned": {"retriever": _RETRIEVER, "source_retriever_id": "ret_5e1ax8jw0n"},
    "RetrieverDeletion": {
        "message": "retriever 'search_python_docs' is deleted",
        "success": True,
        "retriever_id": _RETRIEVER_ID,
        "cancelled_executions": 0,
    },
    "Execution": _EXECUTION,
    "ExecutionSummary": {
        "execution_id": _EXECUTION_ID,
        "retriever_id": _RETRIEVER_ID,
        "created_at": _AT,
        "completed_at": _ENDED_AT,
        "stages_completed": 1,
        "inputs_hash": _HASH,
        **_LINE,
    },
    "HistoryPagination": {"total": 1, "limit": 20, "offset": 0, "has_next": False, "next_cursor": None},
    "AdhocSummary": _ADHOC_LINE,
    "AdhocExecution": {
        **_EXECUTION,
        **_ADHOC_LINE,
        "retriever_id": "",
        "retriever_name": "",
        "inputs": "{}",
        "inputs_hash": _HASH,
    },
    "BatchAnswer": {
        "results": [
            {
                "query_index": 0,
                "execution_id": _EXECUTION_ID,
                "status": "pending",
                "documents": [],
                "error": None,
            }
        ],
        "total_queries": 1,
        "warnings": [],
    },
    "ExplainAnswer": {
        "retriever_id": _RETRIEVER_ID,
        "retriever_name": "search_python_docs",
        "estimated_cost": {"total_credits": 0.01, "total_duration_ms": 26.5},
        "total_estimated_stages": 1,
        "execution_plan": [
            {
                "stage_index": 0,
                "stage_name": "search",
                "stage_type": "filter",
                "estimated_input": 0,
                "estimated_output": 20,
                "estimated_efficiency": 0.0,
                "estimated_cost_credits": 0.01,
                "estimated_duration_ms": 26.5,
                "cache_likely": False,
                "optimization_notes": ["median of 12 executions"],
                "warnings": [],
            }
        ],
        "optimization_suggestions": [],
        "bottleneck_stages": ["search"],
        "optimization_level": "mvp",
        "optimization_applied": False,
        "optimization_details": None,
        "estimated_from": {"executions": 12, "documents": 3000},
        "warnings": [],
    },
    "ExecutionStatus": {
        "execution_id": _EXECUTION_ID,
        "status": "processing",
        "source": "record",
        "current_stage": "search",
        "completed_stages": [],
        "stages_completed": 0,
        "lease_expires_at": _ENDED_AT,
        "heartbeat_at": _AT,
    },
    "ExtendAnswer": {
        "execution_id": _EXECUTION_ID,
        "status": "completed",
        "revision": 4,
        "expires_at": "2026-11-29T07:45:20.449Z",
        "extended": True,
    },
    "WatchAnswer": {
        "changed": [
            {
                "execution_id": _EXECUTION_ID,
                "retriever_id": _RETRIEVER_ID,
                "status": "processing",
                "revision": 2,
                "attempt": 1,
                "created_at": _AT,
                "started_at": _AT,
                "completed_at": None,
                "expires_at": None,
                "current_stage": "search",
                "stages_completed": 0,
                "error": None,
                "wait_reason": None,
                "queue_position": None,
            }
        ],
        "not_found": [],
    },
    "ExecutionProfile": {
        "execution_id": _EXECUTION_ID,
        "retriever_id": _RETRIEVER_ID,
        "status": "completed",
        "attempt": 1,
        "queued_ms": 6,
        "total_time_ms": 28.6,
        "stages": [
            {
                "stage_name": "search",
                "stage_index": 0,
                "input_count": 0,
                "output_count": 1,
                "duration_ms": 26.5,
                "efficiency": 0.0,
                "share": 1.0,
                "error": None,
                "metadata": {},
            }
        ],
        "slowest_stage": "search",
        "optimizer": {"pushed_down": []},
    },
}
