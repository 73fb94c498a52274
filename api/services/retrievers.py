"""Retrievers: definitions checked against the catalogue, stored with an immutable snapshot."""

from __future__ import annotations

from typing import Any

import orjson

from api.auth import Principal
from api.cursors import Cursors
from api.directory import CollectionDirectory, RetrieverDirectory
from api.paging import Page
from api.schemas.common import ListBody
from api.schemas.retrievers import Retriever, RetrieverCreate
from api.services.catalogue import CatalogueService
from api.services.definitions import budget_of, definition_of
from api.services.listing import Lister, Listing
from shared import ids, keys
from shared.clock import utc_now_iso
from shared.errors import dotted
from shared.inputs import validate_input_schema
from shared.models.resource import Resource
from shared.plan import StageDefinition, ignored_keys, validate_stages
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.resources import ResourceStore, cancel_pending

_DELETED_REASON = orjson.dumps("cancelled: its retriever was deleted").decode()
_NAMESPACE_DELETED_REASON = orjson.dumps("cancelled: its namespace was deleted").decode()


class RetrieverService:
    def __init__(
        self,
        *,
        redis: RedisLink,
        store: ResourceStore,
        directory: RetrieverDirectory,
        collections: CollectionDirectory,
        catalogue: CatalogueService,
        cursors: Cursors,
        settings: Settings,
    ) -> None:
        self._redis = redis
        self._store = store
        self._directory = directory
        self._collections = collections
        self._catalogue = catalogue
        self._lister = Lister(store, cursors)
        self._settings = settings

    async def create(
        self, principal: Principal, namespace_id: str, request: RetrieverCreate
    ) -> dict[str, Any]:
        """The new retriever, version 1.

        Raises:
            InvalidInput: naming every stage, parameter and input that does not fit.
            NotFound: a collection does not exist.
            Conflict: the name is taken.
            Unavailable: no worker has published a catalogue yet.
        """
        stages = validate_stages(request.stages, await self._catalogue.current())
        validate_input_schema(request.input_schema or {})
        collection_ids: list[str] = []
        if request.collection_identifiers:
            collection_ids = await self._collections.resolve(namespace_id, request.collection_identifiers)
        retriever = _retriever(principal, request, stages, collection_ids)
        await self._store.create(
            namespace_id,
            retriever.retriever_id,
            retriever.retriever_name,
            orjson.dumps(retriever.model_dump()),
            parent=keys.resource("namespace", namespace_id),
            definition=orjson.dumps(_definition(namespace_id, retriever, stages)),
        )
        return retriever.model_dump() | {"warnings": _warnings(request)}

    async def get(self, namespace_id: str, id_or_name: str) -> bytes:
        return (await self._store.get(namespace_id, id_or_name)).body

    async def page(self, namespace_id: str, request: ListBody, page: Page) -> Listing:
        return await self._lister.page(namespace_id, request, page)

    async def delete(self, namespace_id: str, id_or_name: str) -> tuple[str, int]:
        """Hide the retriever, cancel what has not started; what runs finishes.

        Returns:
            (its id, how many executions were cancelled).
        """
        return await self._delete(namespace_id, await self._store.get(namespace_id, id_or_name))

    async def delete_all(self, namespace_id: str) -> None:
        """Every retriever of a namespace that is hidden already, and what was to run ad hoc there."""
        await self._cancel_pending(ids.adhoc_retriever_id(namespace_id), _NAMESPACE_DELETED_REASON)
        for retriever_id in await self._store.ids(namespace_id):
            found = await self._store.find(namespace_id, retriever_id)
            if found is not None:
                await self._delete(namespace_id, found)

    async def _delete(self, namespace_id: str, found: Resource) -> tuple[str, int]:
        """The record goes first, so that nothing new can be submitted; snapshots stay for what runs."""
        retriever_id, settings = found.resource_id, self._settings
        name = found.answer()["retriever_name"]
        snapshots = [keys.definition(retriever_id, version) for version in range(1, found.version + 1)]
        await self._store.delete(
            namespace_id,
            retriever_id,
            name,
            fading=[*snapshots, keys.history(retriever_id)],
            fading_s=settings.result_ttl_s,
        )
        self._directory.forget(namespace_id, retriever_id, name)
        return retriever_id, await self._cancel_pending(retriever_id, _DELETED_REASON)

    async def _cancel_pending(self, retriever_id: str, reason: str) -> int:
        settings = self._settings
        return await cancel_pending(
            self._redis,
            retriever_id,
            reason,
            result_ttl_s=settings.result_ttl_s,
            summary_ttl_s=settings.summary_ttl_s,
            history_max=settings.history_max,
        )


def _retriever(
    principal: Principal, request: RetrieverCreate, stages: list[StageDefinition], collection_ids: list[str]
) -> Retriever:
    now = utc_now_iso()
    return Retriever.model_validate(
        {
            "retriever_id": ids.retriever_id(),
            "retriever_name": request.retriever_name,
            "description": request.description,
            "collection_ids": collection_ids,
            "collection_identifiers": collection_ids,
            "stages": [stage.as_wire() for stage in stages],
            "input_schema": request.input_schema or {},
            "budget_limits": budget_of(request.budget_limits),
            "tags": request.tags or [],
            "metadata": request.metadata or {},
            "visibility": request.visibility,
            "marketplace_listing_id": request.marketplace_listing_id,
            "requires_subscription": request.requires_subscription,
            "display_config": request.display_config,
            "created_at": now,
            "updated_at": now,
            "created_by": principal.name,
            "updated_by": principal.name,
            "fusion": _fusion(stages),
        }
    )


def _definition(namespace_id: str, retriever: Retriever, stages: list[StageDefinition]) -> dict[str, Any]:
    return definition_of(
        stages,
        namespace_id=namespace_id,
        retriever_id=retriever.retriever_id,
        retriever_name=retriever.retriever_name,
        version=retriever.version,
        collection_ids=retriever.collection_ids,
        input_schema=retriever.input_schema,
        budget_limits=retriever.budget_limits,
    )


def _fusion(stages: list[StageDefinition]) -> str | None:
    """The fusion of the first search stage; None without one."""
    searches = (stage.parameters for stage in stages if stage.stage_id == "feature_search")
    return next((str(parameters.get("fusion") or "rrf") for parameters in searches), None)


def _warnings(request: RetrieverCreate) -> list[str]:
    unknown = [dotted(loc) for loc in ignored_keys(request.stages)]
    return request.warnings() + [f"the key {place!r} is unknown and was ignored" for place in unknown]
