"""Lists of resources: search, filters, order and pages over at most 10,000 bodies of one scope."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import orjson

from api.cursors import Cursors
from api.paging import Page
from api.schemas.common import ListBody, Sort
from shared.errors import InvalidInput
from shared.filters.evaluate import compile_predicate
from shared.filters.parse import parse_filter
from shared.filters.paths import validate_path
from shared.filters.sort import SortKey, sort_documents
from shared.models.document import Document
from shared.stores.resources import ResourceStore


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list."""

    bodies: list[bytes]
    total: int
    next_cursor: str | None


class Lister:
    """Lists the resources of one kind, newest first unless an order is asked for."""

    def __init__(
        self, store: ResourceStore, cursors: Cursors, view: Callable[[dict[str, Any]], dict[str, Any]] = dict
    ) -> None:
        """`view` makes what filters and sorts see of a body, where that is not what is stored."""
        self._store = store
        self._cursors = cursors
        self._view = view

    async def page(
        self,
        scope: str,
        request: ListBody,
        page: Page,
        *,
        visible: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Listing:
        """The page of what `visible` lets through, and how many match in all.

        A page starts behind the last entry of the page before, wherever that stands now, so that entries
        made meanwhile shift nothing.

        Raises:
            InvalidInput: a bad filter or field.
            BadRequest: a cursor of another list.
        """
        matches = await self._matches(scope, request, visible)
        query: list[Any] = [
            self._store.kind,
            scope,
            request.model_dump(include={"search", "filters", "case_sensitive"}),
        ]
        query.append([sort.model_dump() for sort in request.order()])
        start = await self._start(page, query, matches)
        ids = matches[start : start + page.limit]
        more = start + page.limit < len(matches)
        next_cursor = await self._cursors.seal([ids[-1], start + page.limit], query) if more else None
        return Listing(await self._store.bodies(ids), len(matches), next_cursor)

    async def _matches(
        self, scope: str, request: ListBody, visible: Callable[[dict[str, Any]], bool] | None
    ) -> Sequence[str]:
        """Ids of everything that matches, in order."""
        test = _compile(self._store, request)
        order = sort_keys(request.order())
        ids = await self._store.ids(scope)
        if not (test or order or visible):
            return ids
        bodies = await self._store.bodies(ids)
        return await anyio.to_thread.run_sync(self._selected, bodies, visible, test, order)

    def _selected(
        self,
        bodies: Sequence[bytes],
        visible: Callable[[dict[str, Any]], bool] | None,
        test: Callable[[Document], bool] | None,
        order: Sequence[SortKey],
    ) -> list[str]:
        found = []
        for body in bodies:
            answer = self._view(orjson.loads(body))
            document = Document(answer[f"{self._store.kind}_id"], "", payload=answer)
            if (visible is None or visible(answer)) and (test is None or test(document)):
                found.append(document)
        return [document.document_id for document in (sort_documents(found, order) if order else found)]

    async def _start(self, page: Page, query: Any, ids: Sequence[str]) -> int:
        if page.cursor is None:
            return page.offset
        last_id, offset = await self._cursors.open(page.cursor, query)
        return ids.index(last_id) + 1 if last_id in ids else int(offset)


def sort_keys(order: Sequence[Sort]) -> list[SortKey]:
    """The order in the terms of the filters.

    Raises:
        InvalidInput: a malformed path.
    """
    for index, sort in enumerate(order):
        validate_path(sort.field, loc=("sorts", index, "field"))
    return [SortKey(sort.field, sort.direction) for sort in order]


def _compile(store: ResourceStore, request: ListBody) -> Callable[[Document], bool] | None:
    """Whether a resource passes search and filters; None when there are none."""
    tests = []
    if request.search:
        tests.append(_search(store, request.search, request.case_sensitive))
    tree = parse_filter(request.filters, loc=("filters",), case_insensitive=not request.case_sensitive)
    if tree is not None:
        tests.append(compile_predicate(tree))
    return (lambda document: all(test(document) for test in tests)) if tests else None


def _search(store: ResourceStore, search: str, case_sensitive: bool) -> Callable[[Document], bool]:
    """Matches a part of the id, name or description; `*` and `?` are wildcards."""
    pattern = fnmatch.translate(f"*{search.replace('[', '[[]')}*")
    matches = re.compile(pattern, 0 if case_sensitive else re.IGNORECASE).match
    fields = (f"{store.kind}_id", store.name_field, "description")
    return lambda document: any(matches(document.payload.get(field) or "") for field in fields)


def parse_sort(text: str | None) -> Sort | None:
    """The `sort` of a URL: JSON, or `field:direction`.

    Raises:
        InvalidInput: neither.
    """
    if not text:
        return None
    try:
        if text.lstrip().startswith("{"):
            return Sort.model_validate(orjson.loads(text))
        field, _, direction = text.rpartition(":") if ":" in text else (text, "", "asc")
        return Sort(field=field, direction=direction)
    except ValueError as error:
        raise InvalidInput.at(
            ("query", "sort"), 'must be `field:asc`, `field:desc` or {"field": …, "direction": …}', value=text
        ) from error


def parse_filters(text: str | None) -> dict[str, Any] | None:
    """The `filters` of a URL: a tree as JSON.

    Raises:
        InvalidInput: not a JSON object.
    """
    if not text:
        return None
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput.at(("query", "filters"), f"must be JSON: {error}", value=text) from error
    if not isinstance(tree, dict):
        raise InvalidInput.at(("query", "filters"), "must be a JSON object", value=text)
    return tree
