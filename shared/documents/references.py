"""Documents that documents refer to: fields that hold their ids, one level deep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from shared.documents.store import CollectionRef, DocumentStore
from shared.errors import NotFound
from shared.filters.paths import resolve
from shared.models.document import Document

# Field -> the id that it holds, or the ids.
References = Mapping[str, str | list[str]]


def references_of(document: Document, paths: Sequence[str]) -> dict[str, str | list[str]]:
    """The ids at the paths; what is no text is left out."""
    fields: dict[str, str | list[str]] = {}
    for path in paths:
        value = resolve(path, document.root(), document.payload)
        if isinstance(value, str):
            fields[path] = value
        elif isinstance(value, list):
            fields[path] = [each for each in value if isinstance(each, str)]
    return fields


def referred_ids(fields: References) -> Iterator[str]:
    for value in fields.values():
        yield from [value] if isinstance(value, str) else value


def look_up(
    store: DocumentStore, refs: Iterable[CollectionRef], document_ids: Iterable[str]
) -> dict[str, Document]:
    """By id, from the first of the collections that has it."""
    missing = dict.fromkeys(document_ids)
    found: dict[str, Document] = {}
    for ref in refs:
        if not missing:
            break
        with suppress(NotFound):  # the collection was deleted meanwhile
            for document in store.get(ref, list(missing)):
                found[document.document_id] = document
                del missing[document.document_id]
    return found


def expanded(fields: References, referred: Mapping[str, Document]) -> dict[str, Any]:
    """Field -> document, or list of documents where the field holds a list; unknown ids are left out."""
    shown: dict[str, Any] = {}
    for path, value in fields.items():
        if isinstance(value, list):
            shown[path] = [_stored(referred[each]) for each in value if each in referred]
        elif value in referred:
            shown[path] = _stored(referred[value])
    return shown


def _stored(document: Document) -> Any:
    return orjson.Fragment(document.raw) if document.raw is not None else document.payload
