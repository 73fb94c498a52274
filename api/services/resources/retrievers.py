"""Retrievers: definitions checked against the catalogue, stored with an immutable snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from api.auth import Principal
from api.cursors import Cursors
from api.directory import CollectionDirectory, RetrieverDirectory
from api.paging import Page
from api.schemas.common import ListBody
from api.schemas.retrievers import Retriever, RetrieverChange, RetrieverClone, RetrieverCreate
from api.services.resources.catalogue import CatalogueService
from api.services.resources.changes import changed
from api.services.resources.definitions import budget_of, definition_of
from api.services.resources.listing import Lister, Listing
from shared import ids, keys
from shared.clock import utc_now_iso
from shared.documents.features import feature_parts
from shared.errors import dotted
from shared.inputs import refuse_breaking, validate_input_schema
from shared.models.resource import Resource
from shared.plan import StageDefinition, ignored_keys, validate_stages
from shared.redis_link import RedisLink
from shared.settings import Settings
from shared.stores.resources import ResourceStore, cancel_pending

_DELETED_REASON = orjson.dumps("cancelled: its retriever was deleted").decode()
_NAMESPACE_DELETED_REASON = orjson.dumps("cancelled: its namespace was deleted").decode()


# What a PATCH replaces as it is sent; stages, collections and input_schema are looked at first.
_CHANGEABLE = {
    "retriever_name", "description", "visibility", "marketplace_listing_id", "requires_subscription", "tags",
    "metadata", "display_config", "input_schema",
}  # fmt: skip
_CLONED = (
    "stages", "collection_identifiers", "input_schema", "description", "budget_limits", "tags", "metadata",
    "display_config",
)  # fmt: skip


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

    async def change(
        self, principal: Principal, namespace_id: str, id_or_name: str, request: RetrieverChange
    ) -> dict[str, Any]:
        """The next version. What was submitted before runs the version it was submitted with.

        Raises:
            As `create`; InvalidInput also for a change of input_schema that would break callers.
        """
        given = request.model_dump(exclude_none=True, include=_CHANGEABLE)
        collections = request.collection_identifiers
        new_stages: list[StageDefinition] | None = None
        if request.stages is not None:
            new_stages = validate_stages(request.stages, await self._catalogue.current())
        ids_given = await self._collections.resolve(namespace_id, collections) if collections else collections

        async def change(found: Resource) -> tuple[dict[str, Any], bytes]:
            body = {**found.answer(), **given, "updated_by": principal.name, "version": found.version + 1}
            if request.input_schema is not None:
                refuse_breaking(found.answer()["input_schema"], request.input_schema)
            if ids_given is not None:
                body |= {"collection_ids": ids_given, "collection_identifiers": ids_given}
            if new_stages:
                body |= _of_stages(new_stages)
            retriever = Retriever.model_validate(body)
            stages = new_stages or validate_stages(body["stages"], await self._catalogue.current())
            return retriever.model_dump(), orjson.dumps(_definition(namespace_id, retriever, stages))

        found, body = await changed(
            self._store,
            namespace_id,
            id_or_name,
            change,
            old_definition_ttl_s=self._settings.summary_ttl_s,
        )
        names = (found.answer()["retriever_name"], body["retriever_name"])
        self._directory.forget(namespace_id, found.resource_id, *names)
        return {"retriever": body | {"warnings": _warnings(request)}}

    async def clone(
        self, principal: Principal, namespace_id: str, id_or_name: str, request: RetrieverClone
    ) -> dict[str, Any]:
        """A new retriever like an existing one. Raises as `create`."""
        source = (await self._store.get(namespace_id, id_or_name)).answer()
        kept = {name: source[name] for name in _CLONED if source[name] is not None}
        given = request.model_dump(exclude_none=True, include=set(RetrieverClone.model_fields))
        copy = await self.create(principal, namespace_id, RetrieverCreate.model_validate({**kept, **given}))
        copy["warnings"] = _warnings(request)
        return {"retriever": copy, "source_retriever_id": source["retriever_id"]}

    async def get(self, namespace_id: str, id_or_name: str) -> bytes:
        return (await self._store.get(namespace_id, id_or_name)).body

    async def page(self, namespace_id: str, request: ListBody, page: Page) -> Listing:
        return await self._lister.page(namespace_id, request, page)

    async def delete(self, namespace_id: str, id_or_name: str) -> tuple[str, int]:
        """Hide the retriever, cancel what has not started; what runs finishes.

        Returns:
            (its id, how many executions were cancelled).

        Raises:
            NotFound: there is none. Conflict: alerts run it.
        """
        return await self._delete(namespace_id, await self._store.get(namespace_id, id_or_name))

    async def ids(self, namespace_id: str) -> list[str]:
        """Every retriever of the namespace, newest first."""
        return await self._store.ids(namespace_id)

    async def delete_all(self, namespace_id: str) -> None:
        """Every retriever of a namespace that is hidden already, and what was to run ad hoc there."""
        await self._cancel_pending(ids.adhoc_retriever_id(namespace_id), _NAMESPACE_DELETED_REASON)
        for retriever_id in await self._store.ids(namespace_id):
            found = await self._store.find(namespace_id, retriever_id)
            if found is not None:
                await self._delete(namespace_id, found, even_used=True)

    async def _delete(
        self, namespace_id: str, found: Resource, *, even_used: bool = False
    ) -> tuple[str, int]:
        """The record goes first, so that nothing new can be submitted; snapshots stay for what runs."""
        retriever_id, settings = found.resource_id, self._settings
        name = found.answer()["retriever_name"]
        snapshots = [keys.definition(retriever_id, version) for version in range(1, found.version + 1)]
        await self._store.delete(
            namespace_id,
            retriever_id,
            name,
            *snapshots,
            keys.history(retriever_id),
            fading_s=settings.result_ttl_s,
            even_used=even_used,
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
            **_of_stages(stages),
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
        }
    )


def _of_stages(stages: Sequence[StageDefinition]) -> dict[str, Any]:
    """The members of an answer that the stages decide."""
    uris = [uri for stage in stages for uri in _feature_uris(stage)]
    return {
        "stages": [stage.as_wire() for stage in stages],
        "fusion": _fusion(stages),
        "feature_dependencies": [
            feature for uri in dict.fromkeys(uris) if (feature := feature_parts(uri)) is not None
        ],
    }


def _feature_uris(stage: StageDefinition) -> list[str]:
    """The features that a search stage names, templates left out by their shape."""
    searches = stage.parameters.get("searches")
    given = searches if isinstance(searches, list) else []
    named = (each.get("feature_uri") for each in given if isinstance(each, Mapping))
    return [uri for uri in named if isinstance(uri, str)]


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


def _fusion(stages: Sequence[StageDefinition]) -> str | None:
    """The fusion of the first search stage; None without one."""
    searches = (stage.parameters for stage in stages if stage.stage_id == "feature_search")
    return next((str(parameters.get("fusion") or "rrf") for parameters in searches), None)


def _warnings(request: RetrieverCreate | RetrieverChange | RetrieverClone) -> list[str]:
    unknown = [dotted(loc) for loc in ignored_keys(request.stages or ())]
    return request.warnings() + [f"the key {place!r} is unknown and was ignored" for place in unknown]
