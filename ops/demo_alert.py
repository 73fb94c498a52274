"""The alert of the demo, as POST /v1/alerts takes it, and how the demo's collection names it."""

from __future__ import annotations

from typing import Any

ALERT = "note_about_compression"
_HOUR_S = 3_600


def alert() -> dict[str, Any]:
    """A request body. It runs every hour and with every write, and fires when somebody writes such a note.

    Its channel leads nowhere (RFC 2606, section 2): whom to tell is the reader's to fill in.
    """
    return {
        "name": ALERT,
        "description": "Fires when what fits “compress data” best is a document whose package is notes.",
        "retriever_id": "search_python_docs",
        "inputs": {"query": "compress data"},
        "threshold": {"field": "package", "operator": "eq", "value": "notes"},
        "schedule": {"interval_seconds": _HOUR_S},
        "notification_config": {
            "channels": [{"channel_type": "webhook", "config": {"url": "https://receiver.invalid/alerts"}}]
        },
    }


def application() -> dict[str, Any]:
    """One of the collection's `alert_applications`: it reads no document, so a write starts one run."""
    source = {"source_type": "constant", "value": "compress data"}
    return {
        "alert_id": ALERT,
        "execution_mode": "on_ingest",
        "input_mappings": [{"input_key": "query", "source": source}],
    }
