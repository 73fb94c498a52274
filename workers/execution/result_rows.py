"""The rows of a result: each document as JSON, with its vectors and what it refers to where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from shared.documents import CollectionRef, DocumentStore
from shared.documents.references import References, expanded, look_up, references_of, referred_ids
from shared.models.document import Document
from shared.models.execution import ExecutionRequest
from workers.execution.failure import StageFailed

_NOTHING: Mapping[str, Any] = {}
EXPANDED_MAX = 50  # references per document (contract 2.1)
_LOOK_UP_MAX = 500  # documents whose vectors and references are held at a time


class ResultRows:
    """Makes the rows of one execution's result."""

    def __init__(
        self, request: ExecutionRequest, namespace_id: str, store: DocumentStore, max_bytes: int
    ) -> None:
        self._request = request
        self._namespace_id = namespace_id
        self._store = store
        self._max_bytes = max_bytes
        self._references_asked = 0  # most references of one document

    def write(self, documents: Sequence[Document]) -> list[bytes]:
        """Raises StageFailed when they are too large together, or one is no JSON."""
        rows: list[bytes] = []
        size_bytes = 0
        for start in range(0, len(documents), _LOOK_UP_MAX):
            part = [_row(*each) for each in self._complete(documents[start : start + _LOOK_UP_MAX])]
            size_bytes += sum(map(len, part))
            if size_bytes > self._max_bytes:
                raise StageFailed(
                    f"the result has at least {size_bytes:,} bytes, over the limit of {self._max_bytes:,}; "
                    "keep fewer documents (final_top_k, sample) or smaller ones"
                )
            rows += part
        return rows

    def limits(self) -> list[dict[str, Any]]:
        """The caps that `write` met."""
        if self._references_asked <= EXPANDED_MAX:
            return []
        return [
            {
                "name": "expand",
                "requested": self._references_asked,
                "applied": EXPANDED_MAX,
                "ceiling": EXPANDED_MAX,
            }
        ]

    def _complete(self, documents: Sequence[Document]) -> Iterator[tuple[Document, Mapping[str, Any]]]:
        """Each document with the members to set in its row; one look-up per collection for each kind."""
        if not (self._request.return_vectors or self._request.expand):
            yield from ((document, _NOTHING) for document in documents)
            return
        vectors = self._vectors(documents) if self._request.return_vectors else {}
        references = [self._references(document) for document in documents]
        ids = [each for fields in references for each in referred_ids(fields)]
        referred = look_up(self._store, self._refs(), ids)
        for document, fields in zip(documents, references, strict=True):
            members: dict[str, Any] = {}
            if own := vectors.get((document.collection_id, document.document_id)):
                members["payload"] = {**document.payload, **own}
            if self._request.expand:
                members["_expanded"] = expanded(fields, referred)
            yield document, members

    def _refs(self) -> list[CollectionRef]:
        return [CollectionRef(self._namespace_id, each) for each in self._request.collection_ids]

    def _vectors(self, documents: Sequence[Document]) -> dict[tuple[str, str], Mapping[str, Any]]:
        """(collection id, document id) -> name -> vector; rows that are no stored documents have none."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for collection_id in dict.fromkeys(each.collection_id for each in documents if each.collection_id):
            ref = CollectionRef(self._namespace_id, collection_id)
            wanted = [each.document_id for each in documents if each.collection_id == collection_id]
            for document_id, by_name in self._store.get_vectors(ref, wanted).items():
                found[collection_id, document_id] = by_name
        return found

    def _references(self, document: Document) -> References:
        """Field -> the ids that it holds, at most EXPANDED_MAX over all fields."""
        fields = references_of(document, self._request.expand)
        self._references_asked = max(self._references_asked, len(list(referred_ids(fields))))
        return _first(fields, EXPANDED_MAX)


def _first(fields: References, room: int) -> References:
    """As many of the ids as there is room for."""
    kept: dict[str, str | list[str]] = {}
    for path, value in fields.items():
        if isinstance(value, list):
            kept[path] = value[:room]
            room -= len(kept[path])
        elif room:
            kept[path] = value
            room -= 1
    return kept


def _row(document: Document, members: Mapping[str, Any]) -> bytes:
    """The document as the result holds it. Raises StageFailed when a stage attached what JSON cannot hold."""
    body = document.result()
    body.update(members)
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise StageFailed(
            f"document {document.document_id!r} cannot be written as JSON ({error}); "
            f"a stage attached one of {', '.join(sorted(document.attached))}"
        ) from error
