"""Answers made of stored documents: their bytes are joined, and parsed only when a part is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from api.schemas.documents import VectorChoice
from shared.documents.references import expanded, look_up, references_of, referred_ids
from shared.documents.store import CollectionRef, DocumentStore
from shared.models.document import Document

EXPANDED_MAX = 50  # documents referred to, in one answer (contract 8.3)
_ALWAYS = ("document_id", "collection_id")


def rendered(
    documents: DocumentStore,
    ref: CollectionRef,
    found: Sequence[Document],
    vectors: VectorChoice,
    select: Sequence[str] | None = None,
) -> list[bytes]:
    """The JSON of each document, with `searchable_at`: since when all searches find it, null until then.

    Args:
        select: Dotted paths to keep besides the ids; None = everything.
    """
    ids = [each.document_id for each in found]
    since = documents.searchable_at(ref, ids)
    if vectors == VectorChoice() and select is None:
        bodies = [document.raw or b"" for document in found]
    else:
        stored = documents.get_vectors(ref, ids, _names(vectors))
        bodies = [
            orjson.dumps(_selected(each.payload, select) | _shown(stored.get(each.document_id, {}), vectors))
            for each in found
        ]
    return [
        with_member(body, "searchable_at", since.get(each)) for each, body in zip(ids, bodies, strict=True)
    ]


def rendered_across(
    documents: DocumentStore,
    namespace_id: str,
    found: Sequence[Document],
    vectors: VectorChoice,
    select: Sequence[str] | None = None,
) -> list[bytes]:
    """As `rendered`, for documents of several collections."""
    bodies: dict[tuple[str, str], bytes] = {}
    for collection_id in dict.fromkeys(each.collection_id for each in found):
        here = [each for each in found if each.collection_id == collection_id]
        of_these = rendered(documents, CollectionRef(namespace_id, collection_id), here, vectors, select)
        keys = [(collection_id, each.document_id) for each in here]
        bodies |= zip(keys, of_these, strict=True)
    return [bodies[each.collection_id, each.document_id] for each in found]


def with_references(
    documents: DocumentStore,
    refs: Sequence[CollectionRef],
    found: Sequence[Document],
    bodies: Sequence[bytes],
    paths: Sequence[str],
) -> tuple[list[bytes], list[str]]:
    """The bodies with the documents that they refer to under `_expanded`, and warnings.

    Args:
        refs: where those are looked for, in this order.
        paths: fields that hold their ids; none = the bodies as they are.
    """
    if not paths:
        return list(bodies), []
    fields = [references_of(document, paths) for document in found]
    ids = list(dict.fromkeys(each for of_one in fields for each in referred_ids(of_one)))
    referred = look_up(documents, refs, ids[:EXPANDED_MAX])
    complete = [
        with_member(body, "_expanded", expanded(of_one, referred))
        for body, of_one in zip(bodies, fields, strict=True)
    ]
    if len(ids) <= EXPANDED_MAX:
        return complete, []
    return complete, [f"expand: only the first {EXPANDED_MAX} of {len(ids)} documents referred to are shown"]


def with_member(body: bytes, name: str, value: Any) -> bytes:
    """A JSON object that has members, and one more behind them."""
    return b'%s,"%s":%s}' % (body[:-1], name.encode(), orjson.dumps(value))


def _names(vectors: VectorChoice) -> Sequence[str] | None:
    """What to read from the store; None = all."""
    return None if vectors.names or not vectors.arrays else vectors.arrays


def _shown(stored: Mapping[str, Any], vectors: VectorChoice) -> dict[str, Any]:
    shown: dict[str, Any] = {"_vectors": sorted(stored)} if vectors.names else {}
    if vectors.arrays is not None:
        shown |= stored
    return shown


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
