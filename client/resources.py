"""Retrievers, collections and documents: what is there, and making more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, Protocol
from urllib.parse import quote

from client.errors import NotConfigured
from client.models import Resource, Upserted
from client.transport import Answer

PAGE_SIZE = 100
BATCH_DOCUMENTS = 500
BATCH_MAX_DOCUMENTS = 1_000

Body = Mapping[str, Any]


class Call(Protocol):
    """One request of the client's; raises ApiError when the server refuses it."""

    def __call__(
        self, method: str, path: str, body: Body | None = None, *, repeatable: bool = True
    ) -> Answer: ...


class Resources:
    """The retrievers or the collections of the namespace. A name does wherever an id does."""

    def __init__(self, call: Call, kind: Literal["retriever", "collection"]) -> None:
        self._call = call
        self._kind = kind
        self._path = f"/v1/{kind}s"

    def list(self, search: str | None = None) -> Iterator[Resource]:
        """All of them, newest first; with `search` those with it in their id, name or description."""
        for result in listed(self._call, f"{self._path}/list", {"search": search} if search else {}):
            yield self._resource(result)

    def get(self, name: str) -> Resource:
        """Raises NotFound."""
        return self._call("GET", self._one(name)).parsed(self._resource)

    def create(self, definition: Body) -> Resource:
        """Make one of a body as the HTTP interface takes it. Raises Conflict: the name is taken."""
        return self._call("POST", self._path, definition, repeatable=False).parsed(self._resource)

    def delete(self, name: str) -> None:
        """Raises NotFound."""
        self._call("DELETE", self._one(name), repeatable=False)

    def _one(self, name: str) -> str:
        return f"{self._path}/{quote(name, safe='')}"

    def _resource(self, body: Body) -> Resource:
        kind = self._kind
        description = body.get("description")
        return Resource(body[f"{kind}_id"], body[f"{kind}_name"], description, body["created_at"], body)


class Documents:
    """The documents of the namespace."""

    def __init__(self, call: Call, namespace: str | None) -> None:
        self._call = call
        self._namespace = namespace

    def upsert(self, collection: str, documents: Sequence[Body], *, write_token: bool = False) -> Upserted:
        """Store a batch as a whole or not at all; a document with an id that is there replaces it.

        Args:
            documents: `{"document_id", "payload", …}`, at most 1,000.
            write_token: Answer one, for an execution that must see this write.

        Raises:
            NotFound: the collection. InvalidInput, TooLarge: the documents. NotConfigured: no namespace.
        """
        if self._namespace is None:
            raise NotConfigured("documents need a namespace: pass namespace=… or set KENNEL_NAMESPACE")
        path = f"/v1/namespaces/{quote(self._namespace, safe='')}/documents/upsert"
        options = {"options": {"write_token": True}} if write_token else {}
        body = {"collection_id": collection, "documents": documents, **options}
        return self._call("POST", path, body).parsed(Upserted.of)

    def upsert_all(
        self,
        collection: str,
        documents: Iterable[Body],
        *,
        batch_size: int = BATCH_DOCUMENTS,
        on_batch: Callable[[Upserted], None] = lambda upserted: None,
    ) -> int:
        """Store any number in batches, one after the other; returns how many. Call it again to go on.

        Args:
            batch_size: Documents in one request, 1 to 1,000.
            on_batch: Called after each batch.

        Raises:
            As `upsert`; NotConfigured also for a batch size out of range.
        """
        if not 1 <= batch_size <= BATCH_MAX_DOCUMENTS:
            raise NotConfigured(f"batch_size is {batch_size}; use 1 to {BATCH_MAX_DOCUMENTS:,}")
        remaining = iter(documents)
        stored = 0
        while batch := list(islice(remaining, batch_size)):
            upserted = self.upsert(collection, batch)
            stored += len(upserted.document_ids)
            on_batch(upserted)
        return stored


def listed(call: Call, path: str, body: Body, page_size: int = PAGE_SIZE) -> Iterator[dict[str, Any]]:
    """The results of a list; each page is asked for when it is needed."""
    asked = {**body, "limit": page_size}
    while True:
        page, cursor = call("POST", path, asked).parsed(_page)
        yield from page
        if not cursor:
            return
        asked["cursor"] = cursor


def _page(body: Body) -> tuple[Sequence[dict[str, Any]], str | None]:
    """The results, and where the next page begins."""
    return body["results"], body["pagination"].get("next_cursor")
