"""What a name in a request means: looked up once a second at most, and always while it does not exist."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from api.auth import Principal
from api.cache import TtlCache
from shared import keys
from shared.errors import BadRequest, InvalidInput, NotFound
from shared.models.resource import Resource, RetrieverRecord
from shared.stores.resources import ResourceStore

_TTL_S = 1.0
_MAX = 10_000
_VERSIONS_MAX = 2_000
_IDENTIFIERS_MAX = 1_000


class Directory:
    """Ids and names of one kind of resource."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._cache: TtlCache[tuple[str, str], Resource] = TtlCache(max_entries=_MAX, ttl_s=_TTL_S)

    def known(self, scope: str, id_or_name: str) -> Resource | None:
        """The resource if it was looked up within the last second."""
        return self._cache.get((scope, id_or_name))

    async def find(self, scope: str, id_or_name: str) -> Resource:
        """Raises NotFound when the scope holds no such resource."""
        resource = self._cache.get((scope, id_or_name))
        if resource is None:
            resource = await self._store.get(scope, id_or_name)
            self._cache.put((scope, id_or_name), resource)
        return resource

    def forget(self, scope: str, *identifiers: str) -> None:
        """Drop what is remembered under these ids and names: they were deleted or changed here."""
        for identifier in identifiers:
            self._cache.forget((scope, identifier))


class NamespaceDirectory:
    """From the header's id or name to a namespace id that the key may use."""

    def __init__(self, store: ResourceStore) -> None:
        self._directory = Directory(store)

    def cached(self, principal: Principal, id_or_name: str) -> str | None:
        resource = self._directory.known(keys.INSTALLATION, id_or_name)
        if resource is None or not principal.may_use(resource.resource_id):
            return None
        return resource.resource_id

    async def resolve(self, principal: Principal, id_or_name: str | None) -> str:
        """The namespace's id.

        Raises:
            BadRequest: no namespace was named.
            NotFound: there is none of this id or name, or the key may not use it.
        """
        if not id_or_name:
            raise BadRequest(
                "no namespace named; send the header `X-Namespace: <id or name>` (or ?namespace=…)",
                code="namespace_missing",
            )
        try:
            namespace_id = (await self._directory.find(keys.INSTALLATION, id_or_name)).resource_id
        except NotFound:
            namespace_id = ""
        if not namespace_id or not principal.may_use(namespace_id):
            raise NotFound(
                f"no namespace has the id or name {id_or_name!r}; create it with POST /v1/namespaces",
                code="namespace_not_found",
            )
        return namespace_id

    def forget(self, *identifiers: str) -> None:
        self._directory.forget(keys.INSTALLATION, *identifiers)


class CollectionDirectory:
    """From ids and names of collections to ids."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._directory = Directory(store)

    def cached(self, namespace_id: str, identifiers: Sequence[str]) -> list[str] | None:
        """As `resolve`, if all of them were looked up within the last second."""
        found = [self._directory.known(namespace_id, identifier) for identifier in identifiers]
        known = [resource.resource_id for resource in found if resource is not None]
        return list(dict.fromkeys(known)) if known and len(known) == len(found) else None

    async def resolve(
        self,
        namespace_id: str,
        identifiers: Sequence[str],
        loc: Sequence[str | int] = ("collection_identifiers",),
    ) -> list[str]:
        """Ids in the order given, each once (contract 2.9).

        Raises:
            InvalidInput: the list is empty or too long.
            NotFound: naming the first one that does not exist.
        """
        if not identifiers:
            raise InvalidInput.at(loc, "must name at least one collection", type_="too_short", value=[])
        if len(identifiers) > _IDENTIFIERS_MAX:
            raise InvalidInput.at(loc, f"must name at most {_IDENTIFIERS_MAX} collections", type_="too_long")
        unique = list(dict.fromkeys(identifiers))
        found = await asyncio.gather(*(self.find(namespace_id, identifier) for identifier in unique))
        return list(dict.fromkeys(resource.resource_id for resource in found))

    async def all_ids(self, namespace_id: str) -> list[str]:
        """Every collection of the namespace, newest first. Never remembered: one round trip."""
        return await self._store.ids(namespace_id)

    async def find(self, namespace_id: str, id_or_name: str) -> Resource:
        """Raises NotFound when the namespace holds no such collection."""
        return await self._directory.find(namespace_id, id_or_name)

    def forget(self, namespace_id: str, *identifiers: str) -> None:
        self._directory.forget(namespace_id, *identifiers)


class RetrieverDirectory:
    """From a retriever's id or name to its current version, parsed once."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._cache: TtlCache[tuple[str, str], RetrieverRecord] = TtlCache(max_entries=_MAX, ttl_s=_TTL_S)
        # A version never changes, so what was parsed and derived from it outlives the second.
        self._versions: TtlCache[tuple[str, int], RetrieverRecord] = TtlCache(
            max_entries=_VERSIONS_MAX, ttl_s=3600.0
        )

    def cached(self, namespace_id: str, id_or_name: str) -> RetrieverRecord | None:
        return self._cache.get((namespace_id, id_or_name))

    async def resolve(self, namespace_id: str, id_or_name: str) -> RetrieverRecord:
        """Raises NotFound when the namespace holds no such retriever."""
        record = self._cache.get((namespace_id, id_or_name))
        if record is None:
            resource = await self._store.get(namespace_id, id_or_name)
            record = self._versions.get((resource.resource_id, resource.version))
            if record is None:
                record = RetrieverRecord.of(resource)
                self._versions.put((record.retriever_id, record.version), record)
            self._cache.put((namespace_id, id_or_name), record)
        return record

    def forget(self, namespace_id: str, *identifiers: str) -> None:
        for identifier in identifiers:
            self._cache.forget((namespace_id, identifier))
