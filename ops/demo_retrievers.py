"""The retrievers of the demo, as they are sent to POST /v1/retrievers."""

from __future__ import annotations

import hashlib
from typing import Any

NAMESPACE = "demo"
COLLECTION = "python_docs"

KINDS = ["module", "class", "function", "method"]
# The collection's own text embedding, whichever model makes it.
FEATURE_URI = "mixpeek://text_extractor@v1"
EXTRACTOR = {
    "feature_extractor_name": "text_extractor",
    "version": "v1",
    "input_mappings": {"text": ["title", "text"]},
}

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


def document_id(title: str) -> str:
    """The same in every installation, so that a load that was cut off goes on where it was."""
    return f"doc_{hashlib.sha256(title.encode()).hexdigest()[:16]}"


def retrievers() -> list[dict[str, Any]]:
    """Request bodies, each searching the demo collection."""
    return [
        {"collection_identifiers": [COLLECTION], **body}
        for body in (
            _search_python_docs(),
            _public_classes_about(),
            _similar_docs(),
            _topic_overview(),
            _longest_functions(),
            _module_contents(),
        )
    ]


def _search_python_docs() -> dict[str, Any]:
    return {
        "retriever_name": "search_python_docs",
        "description": "Hybrid search: by words and by meaning; of one kind or module if wanted.",
        "input_schema": {
            "query": {
                "type": "string",
                "required": True,
                "description": "What to search for: words or a question.",
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


def _similar_docs() -> dict[str, Any]:
    return {
        "retriever_name": "similar_docs",
        "description": "What is near to a document by meaning, without near copies of each other.",
        "input_schema": {
            "document_id": {
                "type": "string",
                "required": True,
                "description": "Id of a document of this collection.",
                "examples": [document_id("json.dumps")],
            },
            "top_k": _TOP_K,
        },
        "stages": [
            _stage("near", "feature_search", {"searches": [_near_document()], "final_top_k": 50}),
            _stage("diverse", "mmr", {"lambda": 0.7, "top_k": "{{INPUT.top_k}}"}),
        ],
    }


def _topic_overview() -> dict[str, Any]:
    count = {"function": "count", "alias": "documents"}
    best = {"function": "first", "field": "title", "alias": "best"}
    by_module = {
        "aggregations": [count, best],
        "group_by": [{"field": "module"}],
        "sort_by": "documents",
        "limit": "{{INPUT.top_k}}",
    }
    return {
        "retriever_name": "topic_overview",
        "description": "Which modules say most about a topic; how many of each kind there are, as facets.",
        "input_schema": {
            "topic": {
                "type": "string",
                "required": True,
                "description": "What to search for.",
                "examples": ["run code in threads"],
            },
            "top_k": _TOP_K,
        },
        "stages": [
            _stage(
                "about_topic",
                "feature_search",
                {
                    "searches": _hybrid("{{INPUT.topic}}", 100),
                    "final_top_k": 100,
                    "facets": [{"key": "kind"}],
                },
            ),
            _stage("by_module", "aggregate", by_module),
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
    top_k = "{{INPUT.top_k}}"
    return _stage(stage_name, "feature_search", {"searches": _hybrid(query, 100), "final_top_k": top_k})


def _hybrid(query: str, top_k: int) -> list[dict[str, Any]]:
    """By words and by meaning, fused by reciprocal rank, the default."""
    search = {"feature_uri": FEATURE_URI, "query": {"input_mode": "text", "value": query}, "top_k": top_k}
    return [{**search, "lexical": True}, search]


def _near_document() -> dict[str, Any]:
    reference = {"collection_id": COLLECTION, "document_id": "{{INPUT.document_id}}"}
    return {"feature_uri": FEATURE_URI, "query": {"input_mode": "document", "document_ref": reference}}


def _sort(stage_name: str, field: str, direction: str) -> dict[str, Any]:
    return _stage(stage_name, "sort_attribute", {"field": field, "direction": direction})


def _stage(stage_name: str, stage_id: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"stage_name": stage_name, "config": {"stage_id": stage_id, "parameters": parameters}}


def _is(field: str, value: str | bool) -> dict[str, Any]:
    return {"field": field, "operator": "eq", "value": value}
