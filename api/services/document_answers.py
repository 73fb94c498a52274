"""Answers made of stored documents: their bytes are joined, and parsed only when a part is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.documents.store import CollectionRef, DocumentStore
from shared.models.document import Document

_ALWAYS = ("document_id", "collection_id")


def rendered(
    documents: DocumentStore,
    ref: CollectionRef,
    found: Sequence[Document],
    vector_names: Sequence[str] | None = None,
    select: Sequence[str] | None = None,
) -> list[bytes]:
    """The JSON of each document.

    Args:
        vector_names: Vectors to add at the root under their names; empty = all, None = none.
        select: Dotted paths to keep besides the ids; None = everything.
    """
    if vector_names is None and select is None:
        return [document.raw or b"" for document in found]
    vectors: Mapping[str, Mapping[str, Any]] = {}
    if vector_names is not None:
        vectors = documents.get_vectors(ref, [each.document_id for each in found], vector_names or None)
    return [
        orjson.dumps({**_selected(each.payload, select), **vectors.get(each.document_id, {})})
        for each in found
    ]


def joined(name: str, bodies: Sequence[bytes], rest: Mapping[str, Any]) -> bytes:
    """A JSON object whose first member is the array of `bodies`; `rest` must not be empty."""
    return b'{"%s":[%s],%s' % (name.encode(), b",".join(bodies), orjson.dumps(rest)[1:])


def _selected(payload: Mapping[str, Any], select: Sequence[str] | None) -> dict[str, Any]:
    """A copy with only these paths; a path that leads nowhere adds nothing."""
    if select is None:
        return dict(payload)
    kept: dict[str, Any] = {name: payload[name] for name in _ALWAYS}
    for path in select:
        _copy(payload, kept, path.split("."))
    return kept


def _copy(source: Mapping[str, Any], target: dict[str, Any], parts: Sequence[str]) -> None:
    name, *inner = parts
    if name not in source:
        return
    value = source[name]
    if not inner:
        target[name] = value
    elif isinstance(value, dict):
        branch = target.get(name)
        if branch is not value:  # else all of it is selected already
            target[name] = branch = branch if isinstance(branch, dict) else {}
            _copy(value, branch, inner)
