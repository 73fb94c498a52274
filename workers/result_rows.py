"""The rows of a result: each document as JSON, with its vectors and what it refers to where asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from shared.documents import CollectionRef, DocumentStore
from shared.filters.paths import resolve
from shared.models.document import Document
from shared.models.execution import ExecutionRequest
from workers.failure import StageFailed

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
        referred = self._look_up(each for fields in references for each in _ids(fields))
        for document, fields in zip(documents, references, strict=True):
            members: dict[str, Any] = {}
            if own := vectors.get((document.collection_id, document.document_id)):
                members["payload"] = {**document.payload, **own}
            if self._request.expand:
                members["_expanded"] = _expanded(fields, referred)
            yield document, members

    def _vectors(self, documents: Sequence[Document]) -> dict[tuple[str, str], Mapping[str, Any]]:
        """(collection id, document id) -> name -> vector; rows that are no stored documents have none."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for collection_id in dict.fromkeys(each.collection_id for each in documents if each.collection_id):
            ref = CollectionRef(self._namespace_id, collection_id)
            wanted = [each.document_id for each in documents if each.collection_id == collection_id]
            for document_id, by_name in self._store.get_vectors(ref, wanted).items():
                found[collection_id, document_id] = by_name
        return found

    def _references(self, document: Document) -> dict[str, str | list[str]]:
        """Field -> the ids that it holds, at most EXPANDED_MAX over all fields."""
        asked = 0
        fields: dict[str, str | list[str]] = {}
        for path in self._request.expand:
            value = resolve(path, document.root(), document.payload)
            room = max(0, EXPANDED_MAX - asked)
            if isinstance(value, str):
                asked += 1
                if room:
                    fields[path] = value
            elif isinstance(value, list):
                ids = [each for each in value if isinstance(each, str)]
                asked += len(ids)
                fields[path] = ids[:room]
        self._references_asked = max(self._references_asked, asked)
        return fields

    def _look_up(self, document_ids: Iterable[str]) -> dict[str, Document]:
        """By id, from the first of the execution's collections that has it."""
        missing = dict.fromkeys(document_ids)
        found: dict[str, Document] = {}
        for collection_id in self._request.collection_ids:
            if not missing:
                break
            ref = CollectionRef(self._namespace_id, collection_id)
            for document in self._store.get(ref, list(missing)):
                found[document.document_id] = document
                del missing[document.document_id]
        return found


def _ids(fields: Mapping[str, str | list[str]]) -> Iterator[str]:
    for value in fields.values():
        yield from [value] if isinstance(value, str) else value


def _expanded(fields: Mapping[str, str | list[str]], referred: Mapping[str, Document]) -> dict[str, Any]:
    """Field -> document, or list of documents where the field holds a list; unknown ids are left out."""
    expanded: dict[str, Any] = {}
    for path, value in fields.items():
        if isinstance(value, list):
            expanded[path] = [_stored(referred[each]) for each in value if each in referred]
        elif value in referred:
            expanded[path] = _stored(referred[value])
    return expanded


def _stored(document: Document) -> Any:
    return orjson.Fragment(document.raw) if document.raw is not None else document.payload


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
