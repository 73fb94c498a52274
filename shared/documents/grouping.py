"""Documents by the values of a field, a page of groups at a time.

As in facets, each element of a list is a value, so a document may be in several groups. Documents without
the field are the last group, that of null. An object is no value, and neither is an empty list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.documents.across import iterate_across
from shared.documents.store import CollectionRef, DocumentStore
from shared.errors import InvalidInput
from shared.filters.ast import And, Condition, Filter
from shared.filters.paths import field_value
from shared.filters.sort import RANK_AFTER, SortKey, ranked
from shared.models.document import Document

GROUPS_MAX = 50_000

# Where a group stands: groups are in the order of their values, whatever their size, so that a position holds
# while others write.
GroupKey = tuple[int, Any]
_NULL: GroupKey = (RANK_AFTER, 0)


@dataclass(frozen=True, slots=True)
class DocumentGroup:
    """
    Attributes:
        count: all documents of the group.
        documents: the first of them.
    """

    value: Any
    count: int
    documents: list[Document] = field(default_factory=list)

    @property
    def key(self) -> GroupKey:
        return _NULL if self.value is None else ranked(self.value)


@dataclass(frozen=True, slots=True)
class GroupPage:
    """
    Attributes:
        total: all groups, not only those of the page.
        members: the counts of all groups together.
        more: whether groups follow.
    """

    groups: list[DocumentGroup]
    total: int
    members: int
    more: bool


def group_page(
    store: DocumentStore,
    refs: Sequence[CollectionRef],
    path: str,
    *,
    where: Filter | None,
    sort: Sequence[SortKey],
    limit: int,
    per_group: int,
    offset: int = 0,
    after: GroupKey | None = None,
) -> GroupPage:
    """The groups of the documents that pass the filter.

    Args:
        sort: the order of the documents within each group.
        per_group: how many documents of a group are given.
        after: the key of the last group before the page; offset counts from there.

    Raises:
        InvalidInput: there are too many groups.
    """
    groups = _counted(store, refs, path, where)
    behind = groups if after is None else [group for group in groups if group.key > after]
    page = behind[offset : offset + limit]
    _fill(store, refs, path, where, sort, page, per_group)
    members = sum(group.count for group in groups)
    return GroupPage(page, len(groups), members, more=len(behind) > offset + limit)


def _counted(
    store: DocumentStore, refs: Sequence[CollectionRef], path: str, where: Filter | None
) -> list[DocumentGroup]:
    """All groups in order, without documents."""
    groups: dict[GroupKey, DocumentGroup] = {}
    for ref in refs:
        found = store.facet(ref, path, where=where, limit=GROUPS_MAX + 1)
        nulls = store.count(ref, _both(where, Condition(path, "is_null", True)))
        for value, count in [*found, (None, nulls)] if nulls else found:
            group = DocumentGroup(value, count)
            before = groups.get(group.key)
            groups[group.key] = group if before is None else DocumentGroup(before.value, before.count + count)
        if len(groups) > GROUPS_MAX:
            raise InvalidInput.at(
                ["group_by"], f"{path!r} makes over {GROUPS_MAX:,} groups; filter the documents", value=path
            )
    return [groups[key] for key in sorted(groups)]


def _fill(
    store: DocumentStore,
    refs: Sequence[CollectionRef],
    path: str,
    where: Filter | None,
    sort: Sequence[SortKey],
    page: Sequence[DocumentGroup],
    per_group: int,
) -> None:
    """Put the first documents of each group into it; one pass over those of all groups of the page."""
    by_key = {group.key: group for group in page}
    missing = sum(min(group.count, per_group) for group in page)
    if not missing:
        return
    in_page = Condition(path, "in", [group.value for group in page])  # null finds documents without the field
    for document in iterate_across(store, refs, where=_both(where, in_page), sort=sort):
        for key in _keys(document, path):
            group = by_key.get(key)
            if group is not None and len(group.documents) < per_group:
                group.documents.append(document)
                missing -= 1
        if missing <= 0:
            return


def _keys(document: Document, path: str) -> Iterator[GroupKey]:
    """The groups that the document is in, each once."""
    value = field_value(document, path)
    if value is None:
        yield _NULL
        return
    elements = value if isinstance(value, list) else [value]
    yield from dict.fromkeys(ranked(each) for each in elements if isinstance(each, str | int | float))


def _both(where: Filter | None, condition: Filter) -> Filter:
    return condition if where is None else And((where, condition))
