"""Examples of the OpenAPI document about alerts: one that watches the demo for something new."""

from __future__ import annotations

from typing import Any

from api.examples import MODELS as _DEMO

_ALERT_ID = "alt_6n2c8x4m0kvw7rtd"
_COLLECTION_ID = _DEMO["Document"]["collection_id"]
_DOCUMENT_ID = _DEMO["Document"]["document_id"]
_AT = _DEMO["Execution"]["created_at"]
_ENDED_AT = _DEMO["Execution"]["completed_at"]
_EXECUTION_ID = _DEMO["Execution"]["execution_id"]
_URL = "https://example.com/hooks/kennel"
_ALERT = {
    "name": "new about compression",
    "retriever_id": "search_python_docs",
    "inputs": {"query": "compress data"},
    "threshold": {"field": "score", "operator": "gte", "value": 0.03},
    "schedule": {"cron": "0 8 * * 1-5", "timezone": "Europe/Berlin"},
    "cooldown_seconds": 3600,
    "notification_config": {"channels": [{"channel_type": "webhook", "config": {"url": _URL}}]},
}
_SHOWN = {
    **_ALERT,
    "alert_id": _ALERT_ID,
    "namespace_id": _DEMO["Namespace"]["namespace_id"],
    "description": None,
    "source": "retriever",
    "retriever_id": _DEMO["Retriever"]["retriever_id"],
    "trigger_on": "results",
    "min_count": 1,
    "schedule": {"interval_seconds": None, "cron": "0 8 * * 1-5", "timezone": "Europe/Berlin"},
    "renotify_interval_seconds": None,
    "last_fired_at": _ENDED_AT,
    "system_condition": None,
    "namespace_selector": None,
    "notification_config": {
        "channels": [
            {
                "channel_type": "webhook",
                "channel_id": None,
                "config": {
                    "url": _URL,
                    "headers": {},
                    "payload_template": None,
                    "timeout": 10.0,
                    "signing_secret": None,
                },
            }
        ],
        "include_matches": True,
        "include_scores": True,
        "template_id": None,
    },
    "enabled": True,
    "attached_to": [_COLLECTION_ID],
    "metadata": None,
    "created_at": _AT,
    "updated_at": _AT,
    "warnings": [],
}
_EXECUTION = {
    "alert_id": _ALERT_ID,
    "collection_id": _COLLECTION_ID,
    "execution_id": _EXECUTION_ID,
    "status": "completed",
    "mode": "on_ingest",
    "triggered": True,
    "match_count": 1,
    "matches": [{"document_id": _DOCUMENT_ID, "score": 0.0325}],
    "source_documents": [_DOCUMENT_ID],
    "executed_at": _ENDED_AT,
    "duration_ms": 26,
    "due_at": None,
    "is_late": False,
    "deliveries": [{"channel_type": "webhook", "status": "delivered", "error": None}],
    "error": None,
}
_DELIVERY = _DEMO["Delivery"]

# Name of a parameter -> an example of it.
PARAMETERS = {"alert": _ALERT["name"]}

# Name of a model -> an example of it.
MODELS: dict[str, Any] = {
    "AlertCreate": _ALERT,
    "AlertChange": {"enabled": False},
    "Alert": _SHOWN,
    "AlertExecuteBody": {"inputs": {"query": "compress data"}},
    "AlertExecution": _EXECUTION,
    "AlertExecutionStarted": {
        **_EXECUTION,
        "status": "pending",
        "mode": "on_demand",
        "triggered": False,
        "match_count": 0,
        "matches": None,
        "source_documents": [],
        "executed_at": _AT,
        "duration_ms": 0,
        "deliveries": None,
        "warnings": [],
    },
    "AlertDelivery": {
        **{name: value for name, value in _DELIVERY.items() if name != "webhook_id"},
        "alert_id": _ALERT_ID,
        "event_type": "alert.triggered",
        "delivery_id": f"dlv_mz4k8w2q9tjx_{_ALERT_ID}_0",
    },
}
