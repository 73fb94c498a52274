"""The retrievers of the demo, as they are sent to POST /v1/retrievers."""

from __future__ import annotations

from typing import Any

NAMESPACE = "demo"
COLLECTION = "python_docs"

KINDS = ["module", "class", "function", "method"]
# A lexical search has no feature of its own; the contract wants one named all the same.
FEATURE_URI = "mixpeek://text_extractor@v1"

_TOP_K = {
    "type": "integer",
    "default": 10,
    "description": "How many documents to find, 1 to 5000.",
    "examples": [10],
}
_MODULE = {
    "type": "string",
    "description": "Only this module, by its full name; left out = all modules.",
    "examples": ["json", "asyncio.tasks"],
}


def retrievers() -> list[dict[str, Any]]:
    """Request bodies, each searching the demo collection."""
    return [
        {"collection_identifiers": [COLLECTION], **body}
        for body in (
            _search_python_docs(),
            _public_classes_about(),
            _longest_functions(),
            _module_contents(),
        )
    ]


def _search_python_docs() -> dict[str, Any]:
    return {
        "retriever_name": "search_python_docs",
        "description": "Keyword search (BM25) in the docstrings, of one kind or module if wanted.",
        "input_schema": {
            "query": {
                "type": "string",
                "required": True,
                "description": "Words to search for; any of them may match.",
                "examples": ["compress data", "parse json"],
            },
            "top_k": _TOP_K,
            "kind": {
                "type": "string",
                "enum": KINDS,
                "description": "Only this kind of definition; left out = all kinds.",
                "examples": ["function"],
            },
            "module": _MODULE,
        },
        # The filter comes first, so that `top_k` documents are left after it.
        "stages": [
            _filter("narrow", _is("kind", "{{INPUT.kind}}"), _is("module", "{{INPUT.module}}")),
            _search("search", "{{INPUT.query}}"),
        ],
    }


def _public_classes_about() -> dict[str, Any]:
    return {
        "retriever_name": "public_classes_about",
        "description": "The public classes that fit a topic best, in the order of the alphabet.",
        "input_schema": {
            "topic": {
                "type": "string",
                "required": True,
                "description": "Words to search for.",
                "examples": ["thread lock", "http server"],
            },
            "top_k": _TOP_K,
        },
        "stages": [
            _filter("public_classes", _is("kind", "class"), _is("is_public", True)),
            _search("about_topic", "{{INPUT.topic}}"),
            _sort("by_title", "title", "asc"),
        ],
    }


def _longest_functions() -> dict[str, Any]:
    return {
        "retriever_name": "longest_functions",
        "description": "Functions and methods with the longest docstrings, longest first.",
        "input_schema": {
            "min_words": {
                "type": "integer",
                "default": 100,
                "description": "Least length of the docstring, in words.",
                "examples": [100],
            },
            "module": _MODULE,
        },
        "stages": [
            _filter(
                "long_functions",
                {"field": "kind", "operator": "in", "value": ["function", "method"]},
                {"field": "words", "operator": "gte", "value": "{{INPUT.min_words}}"},
                _is("module", "{{INPUT.module}}"),
            ),
            _sort("longest_first", "words", "desc"),
        ],
    }


def _module_contents() -> dict[str, Any]:
    return {
        "retriever_name": "module_contents",
        "description": "What one module documents, in the order of its source.",
        "input_schema": {"module": _MODULE | {"required": True, "description": "Full name of the module."}},
        "stages": [_filter("in_module", _is("module", "{{INPUT.module}}")), _sort("in_order", "line", "asc")],
    }


def _filter(stage_name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    """A condition whose input is not given is dropped when the stage runs."""
    return _stage(stage_name, "attribute_filter", {"conditions": {"AND": list(conditions)}})


def _search(stage_name: str, query: str) -> dict[str, Any]:
    search = {
        "feature_uri": FEATURE_URI,
        "query": {"input_mode": "text", "value": query},
        "lexical": True,
        "top_k": "{{INPUT.top_k}}",
    }
    return _stage(stage_name, "feature_search", {"searches": [search], "final_top_k": "{{INPUT.top_k}}"})


def _sort(stage_name: str, field: str, direction: str) -> dict[str, Any]:
    return _stage(stage_name, "sort_attribute", {"field": field, "direction": direction})


def _stage(stage_name: str, stage_id: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"stage_name": stage_name, "config": {"stage_id": stage_id, "parameters": parameters}}


def _is(field: str, value: str | bool) -> dict[str, Any]:
    return {"field": field, "operator": "eq", "value": value}
