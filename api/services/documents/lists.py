"""Lists of documents: of one collection or of several, flat or by groups, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.cursors import Cursors
from api.directory import CollectionDirectory
from api.paging import Page, PagingQuery, page_of, pagination
from api.pool import DocumentPool
from api.schemas.document_lists import DocumentListBody, ListBatchBody, ListPartition, NamespaceListBody
from api.services.documents.answers import joined, rendered_across, with_references
from api.services.resources.listing import sort_keys
from shared.documents.across import Place, select_across
from shared.documents.grouping import DocumentGroup, GroupPage, group_page
from shared.documents.store import CollectionRef, DocumentStore
from shared.errors import BadRequest, InvalidInput, NotFound
from shared.filters.ast import And, AnyText, Filter, Partition
from shared.filters.parse import parse_filter
from shared.filters.sort import SortKey
from shared.models.document import Document

DEFAULT_LIMIT = 10
GROUPED_DOCUMENTS_MAX = 1_000  # in one answer, over all its groups

_NO_STATS = {"avg_blobs_per_document": 0.0, "total_groups": None, "avg_documents_per_group": None}


@dataclass(frozen=True, slots=True)
class _List:
    """What one page is read with.

    Attributes:
        lookup: where documents are looked for that others refer to.
        token: what the cursor holds; None on a first page.
    """

    namespace_id: str
    refs: Sequence[CollectionRef]
    lookup: Sequence[CollectionRef]
    request: DocumentListBody
    page: Page
    where: Filter | None
    sort: Sequence[SortKey]
    token: Mapping[str, Any] | None

    @property
    def offset(self) -> int:
        """A cursor overrides it."""
        return 0 if self.token else self.page.offset

    def total(self, documents: DocumentStore) -> int | None:
        """Of documents; None unless it was asked for."""
        if not self.page.include_total:
            return None
        return sum(documents.count(ref, self.where) for ref in self.refs)

    def bodies(self, documents: DocumentStore, found: Sequence[Document]) -> tuple[list[bytes], list[str]]:
        """Each document as it is shown, and warnings."""
        request = self.request
        shown = rendered_across(documents, self.namespace_id, found, request.vectors(), request.select)
        return with_references(documents, self.lookup, found, shown, request.expand or ())


@dataclass(frozen=True, slots=True)
class _Read:
    """One page as it came from the store.

    Attributes:
        members: JSON of each document or group.
        following: what the cursor of the next page holds; None on the last one.
        total: of what the pages are of; None unless it was asked for.
    """

    name: str
    members: list[bytes]
    following: dict[str, Any] | None
    total: int | None
    stats: Mapping[str, Any]
    warnings: list[str]


class DocumentListService:
    """Every method takes the caller's namespace; collections are ids or names in it."""

    def __init__(self, collections: CollectionDirectory, pool: DocumentPool, cursors: Cursors) -> None:
        self._collections = collections
        self._pool = pool
        self._cursors = cursors

    async def page(self, namespace_id: str, collection: str, request: DocumentListBody, page: Page) -> bytes:
        """A page of one collection. A cursor goes on behind its document, whatever was written meanwhile.

        Raises:
            NotFound: no such collection. InvalidInput: a filter, a sort or too many groups.
            BadRequest: a cursor of another list.
        """
        found = await self._collections.find(namespace_id, collection)
        refs = [CollectionRef(namespace_id, found.resource_id)]
        return await self._answer(namespace_id, refs, [found.resource_id], request, page, unknown=None)

    async def page_across(self, namespace_id: str, request: NamespaceListBody, page: Page) -> bytes:
        """A page of the named collections, or of all, in one order. Raises as `page`."""
        if request.collection_ids is None:
            refs = await self._all_refs(namespace_id)
            return await self._answer(namespace_id, refs, None, request, page, unknown=None)
        ids, unknown = await self._named(namespace_id, request.collection_ids)
        refs = [CollectionRef(namespace_id, each) for each in ids]
        return await self._answer(namespace_id, refs, ids, request, page, unknown=unknown or None)

    async def batch(self, namespace_id: str, request: ListBatchBody) -> bytes:
        """Each list by itself: one that is refused does not fail the others."""

        async def one(key: str, body: NamespaceListBody) -> dict[str, Any]:
            page = page_of(PagingQuery(), body, default_limit=DEFAULT_LIMIT)
            try:
                answer = await self.page_across(namespace_id, body, page)
            except (BadRequest, InvalidInput, NotFound) as error:
                return {"key": key, "response": None, "error": error.message}
            return {"key": key, "response": orjson.Fragment(answer), "error": None}

        results = await asyncio.gather(*(one(query.key, query.request) for query in request.queries))
        return orjson.dumps({"results": results})

    async def _answer(
        self,
        namespace_id: str,
        refs: Sequence[CollectionRef],
        named: Sequence[str] | None,
        request: DocumentListBody,
        page: Page,
        *,
        unknown: Sequence[str] | None,
    ) -> bytes:
        """`named`: the collections asked for, which a cursor belongs to; None = all of the namespace."""
        sort = sort_keys(request.order())
        order = [key.path + key.direction for key in sort]
        query = [namespace_id, named, request.filters, request.search, order, request.group_by]
        token = await self._cursors.open(page.cursor, query) if page.cursor else None
        partition = _partition(request.partition, token)
        where = _where(request, partition)
        lookup = await self._all_refs(namespace_id) if request.expand else []
        wanted = _List(namespace_id, refs, lookup, request, page, where, sort, token)
        read = await self._pool.run(_reader(wanted))
        next_cursor = None
        if read.following is not None:
            next_cursor = await self._cursors.seal({**read.following, "partition": partition}, query)
        rest = {
            "pagination": pagination(page, next_cursor=next_cursor, total=read.total),
            "total_documents": read.stats["total_documents"],
            "stats": read.stats,
            "warnings": request.warnings() + read.warnings,
            "group_by_field": request.group_by,
            "unknown_collection_ids": unknown,
        }
        return joined(read.name, read.members, rest)

    async def _named(self, namespace_id: str, identifiers: Sequence[str]) -> tuple[list[str], list[str]]:
        """The ids of those that exist, each once, and the others as they were named.

        Raises:
            NotFound: none exists.
        """
        wanted = list(dict.fromkeys(identifiers))
        outcomes = await asyncio.gather(
            *(self._collections.find(namespace_id, each) for each in wanted), return_exceptions=True
        )
        ids: dict[str, None] = {}
        unknown: list[str] = []
        for identifier, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, NotFound):
                unknown.append(identifier)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                ids[outcome.resource_id] = None
        if not ids:
            raise NotFound(f"no collection has an id or name of {', '.join(map(repr, unknown))}")
        return sorted(ids), unknown

    async def _all_refs(self, namespace_id: str) -> list[CollectionRef]:
        return [CollectionRef(namespace_id, each) for each in await self._collections.all_ids(namespace_id)]


def _reader(wanted: _List) -> Callable[[DocumentStore], _Read]:
    path = wanted.request.group_by
    if path is None:
        return lambda documents: _read_flat(documents, wanted)
    return lambda documents: _read_groups(documents, wanted, path)


def _read_flat(documents: DocumentStore, wanted: _List) -> _Read:
    limit = wanted.page.limit
    found = select_across(
        documents,
        wanted.refs,
        where=wanted.where,
        sort=wanted.sort,
        limit=limit + 1,
        offset=wanted.offset,
        after=Place(*wanted.token["place"]) if wanted.token else None,
    )
    shown = found[:limit]
    following = None
    if len(found) > limit:
        place = Place.of(shown[-1], wanted.sort)
        following = {"place": [place.cursor, place.collection_id]}
    bodies, warnings = wanted.bodies(documents, shown)
    total = wanted.total(documents)
    return _Read("results", bodies, following, total, {"total_documents": total, **_NO_STATS}, warnings)


def _read_groups(documents: DocumentStore, wanted: _List, path: str) -> _Read:
    limit = wanted.page.limit
    found = group_page(
        documents,
        wanted.refs,
        path,
        where=wanted.where,
        sort=wanted.sort,
        limit=limit,
        per_group=max(1, GROUPED_DOCUMENTS_MAX // max(limit, 10)),
        offset=wanted.offset,
        after=tuple(wanted.token["group"]) if wanted.token else None,
    )
    members, warnings = _group_bodies(documents, wanted, found.groups)
    stats = {
        **_NO_STATS,
        "total_documents": wanted.total(documents),
        "total_groups": found.total,
        "avg_documents_per_group": found.members / found.total if found.total else None,
    }
    following = {"group": found.groups[-1].key} if found.more else None
    total = found.total if wanted.page.include_total else None
    return _Read("groups", members, following, total, stats, warnings + _cut(found))


def _group_bodies(
    documents: DocumentStore, wanted: _List, groups: Sequence[DocumentGroup]
) -> tuple[list[bytes], list[str]]:
    """JSON of each group, and warnings."""
    bodies, warnings = wanted.bodies(documents, [each for group in groups for each in group.documents])
    rest = iter(bodies)
    members = [
        orjson.dumps(
            {
                "group_key": group.value,
                "documents": [orjson.Fragment(next(rest)) for _ in group.documents],
                "count": group.count,
            }
        )
        for group in groups
    ]
    return members, warnings


def _cut(found: GroupPage) -> list[str]:
    shown = max((len(group.documents) for group in found.groups), default=0)
    if any(len(group.documents) < group.count for group in found.groups):
        return [f"groups hold their first {shown} documents; `count` counts all, a filter finds them"]
    return []


def _where(request: DocumentListBody, partition: Sequence[int] | None) -> Filter | None:
    """All that the documents must pass; None: nothing."""
    conditions: list[Filter | None] = [parse_filter(request.filters, loc=("filters",))]
    if request.search:
        conditions.append(AnyText(request.search))
    if partition is not None:
        conditions.append(Partition(*partition))
    present = tuple(each for each in conditions if each is not None)
    return And(present) if present else None


def _partition(asked: ListPartition | None, token: Mapping[str, Any] | None) -> list[int] | None:
    """(index, count) of the part: as asked, or the one that the cursor belongs to.

    Raises:
        BadRequest: they differ.
    """
    given = [asked.index, asked.count] if asked else None
    if token is None:
        return given
    own: list[int] | None = token["partition"]
    if given is not None and given != own:
        raise BadRequest("the cursor belongs to another partition; start again without it", code="bad_cursor")
    return own
