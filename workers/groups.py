"""Documents by the values of their fields, and rows that stand for the documents of a group."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.filters import field_value, ranked
from shared.models.document import Document


@dataclass(frozen=True, slots=True)
class Group:
    """Documents with equal values, in the order they were given.

    Attributes:
        values: one per path; None where these documents have none.
    """

    values: tuple[Any, ...]
    documents: list[Document]


def best_first(documents: Iterable[Document]) -> list[Document]:
    """By descending score, those without a score last; equal scores in the order given."""
    return sorted(documents, key=lambda document: (document.score is None, -(document.score or 0.0)))


def group_documents(documents: Iterable[Document], paths: Sequence[str]) -> list[Group]:
    """Groups in the order of their first documents.

    Null and missing are one value.
    """
    groups: dict[tuple[Any, ...], Group] = {}
    for document in documents:
        values = tuple(field_value(document, path) for path in paths)
        key = tuple(map(equality_key, values))
        groups.setdefault(key, Group(values, [])).documents.append(document)
    return list(groups.values())


def equality_key(value: Any) -> Hashable:
    """Equal for equal values: 1 and 1.0 are, 1 and "1" are not; lists and objects by their JSON text."""
    return None if value is None else ranked(value)


def row(best: Document, fields: Mapping[str, Any]) -> Document:
    """A result that is no stored document: the fields stand at its root, its payload is empty.

    It has the ids and the score of the best document it was made of. So every row has an id of its own, the
    same in every run, and later stages and pages treat it like a document.
    """
    return Document(best.document_id, best.collection_id, payload={}, score=best.score, attached=fields)
