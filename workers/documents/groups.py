"""Documents by the values of their fields, and rows that stand for the documents of a group."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.filters import field_value, ranked
from shared.models.document import Document

GroupMode = Literal["first", "all", "flatten"]


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


def collapse(group: Group, mode: GroupMode, max_per_group: int) -> list[Document]:
    """What goes on of a group: its first document, its first ones, or one row that holds these.

    A row has `group_key`, `count` (all documents of the group) and `documents` (the first of them).
    """
    if mode == "first":
        return group.documents[:1]
    kept = group.documents[:max_per_group]
    if mode == "flatten":
        return kept
    fields = {
        "group_key": group.values[0],
        "count": len(group.documents),
        "documents": [_as_field(document) for document in kept],
    }
    return [row(kept[0], fields)]


def _as_field(document: Document) -> dict[str, Any]:
    """The result of a document as later stages can look into it: parsed."""
    return {**document.result(), "payload": document.payload}


def equality_key(value: Any) -> Hashable:
    """Equal for equal values: 1 and 1.0 are, 1 and "1" are not; lists and objects by their JSON text."""
    return None if value is None else ranked(value)


def row(best: Document, fields: Mapping[str, Any]) -> Document:
    """A result that is no stored document: the fields stand at its root, its payload is empty.

    It has the ids and the score of the best document it was made of. So every row has an id of its own, the
    same in every run, and later stages and pages treat it like a document.
    """
    return Document(best.document_id, best.collection_id, payload={}, score=best.score, attached=fields)
