"""Namespaces, and the purge of what a deleted one held."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from api.auth import Principal
from api.cursors import Cursors
from api.directory import NamespaceDirectory
from api.paging import Page
from api.pool import DocumentPool
from api.schemas.common import ListBody
from api.schemas.namespaces import (
    FeatureExtractorRef,
    Namespace,
    NamespaceChange,
    NamespaceCreate,
    NamespaceStats,
    StandaloneAnswer,
    StandaloneCreate,
    VectorConfig,
)
from api.services.alerts.alerts import AlertService
from api.services.resources.changes import changed
from api.services.resources.collections import CollectionService
from api.services.resources.listing import Lister, Listing
from api.services.resources.retrievers import RetrieverService
from shared import ids, keys
from shared.clock import utc_now_iso
from shared.errors import BadRequest, Forbidden, KennelError, NotFound
from shared.logs import log_event
from shared.models.resource import Resource
from shared.stores.resources import DeletedNamespaces, ResourceStore

_CHANGEABLE = {"namespace_name", "description", "payload_indexes"}
_PURGE_TRIES = 20
_RETRY_MAX_S = 60.0

logger = logging.getLogger("kennel.api")


class NamespaceService:
    def __init__(
        self,
        *,
        store: ResourceStore,
        deleted: DeletedNamespaces,
        directory: NamespaceDirectory,
        collections: CollectionService,
        retrievers: RetrieverService,
        alerts: AlertService,
        pool: DocumentPool,
        cursors: Cursors,
    ) -> None:
        self._store = store
        self._deleted = deleted
        self._directory = directory
        self._collections = collections
        self._retrievers = retrievers
        self._alerts = alerts
        self._pool = pool
        self._lister = Lister(store, cursors)
        self._purges: set[asyncio.Task[None]] = set()

    async def create(self, principal: Principal, request: NamespaceCreate) -> dict[str, Any]:
        """The new namespace.

        Raises:
            Conflict: its name or id is taken.
            Forbidden: the key is limited to other namespaces.
        """
        namespace = _namespace(request.namespace_id or ids.namespace_id(), request)
        await self._create(principal, namespace)
        counted = {"document_count": 0, "collection_count": 0, "warnings": request.warnings()}
        return namespace.model_dump() | counted

    async def create_standalone(self, principal: Principal, request: StandaloneCreate) -> StandaloneAnswer:
        """A namespace for vectors of one's own. Raises as `create`."""
        namespace_id, name = request.identity()
        now = utc_now_iso()
        configs = _configs(request.vector_configs)
        namespace = Namespace(
            namespace_id=namespace_id,
            namespace_name=name,
            mode="standalone",
            vector_configs=configs,
            created_at=now,
            updated_at=now,
        )
        await self._create(principal, namespace)
        return StandaloneAnswer(
            namespace_id=namespace_id, vector_configs=configs, warnings=request.warnings()
        )

    async def _create(self, principal: Principal, namespace: Namespace) -> None:
        if principal.namespaces is not None:
            raise Forbidden(f"the key {principal.name!r} is limited to its namespaces and cannot make others")
        await self._store.create(
            keys.INSTALLATION,
            namespace.namespace_id,
            namespace.namespace_name,
            namespace.model_dump_json().encode(),
        )

    async def get(self, principal: Principal, id_or_name: str) -> dict[str, Any]:
        """The namespace with its counts."""
        stats = await self.stats(principal, id_or_name)
        found = await self._store.get(keys.INSTALLATION, stats.namespace_id)
        counts = {"collection_count": stats.collection_count, "document_count": stats.document_count}
        return found.answer() | counts

    async def stats(self, principal: Principal, id_or_name: str) -> NamespaceStats:
        """How much the namespace holds."""
        namespace_id = await self._directory.resolve(principal, id_or_name)
        collections, documents = await asyncio.gather(
            self._collections.ids(namespace_id), self._collections.count_documents(namespace_id)
        )
        return NamespaceStats(
            namespace_id=namespace_id, document_count=documents, collection_count=len(collections)
        )

    async def stats_of(self, principal: Principal, identifiers: Sequence[str]) -> dict[str, NamespaceStats]:
        """Of those that exist and that the key may use, by what they were asked for."""
        found: dict[str, NamespaceStats] = {}
        for identifier in dict.fromkeys(identifiers):
            with suppress(NotFound, BadRequest):  # BadRequest: an empty name
                found[identifier] = await self.stats(principal, identifier)
        return found

    async def change(self, principal: Principal, id_or_name: str, request: NamespaceChange) -> dict[str, Any]:
        """The namespace as it is now.

        Raises:
            NotFound: no such namespace. Conflict: the new name is taken.
        """
        namespace_id = await self._directory.resolve(principal, id_or_name)
        given = request.model_dump(exclude_none=True, include=_CHANGEABLE)

        async def change(found: Resource) -> tuple[dict[str, Any], None]:
            return {**found.answer(), **given}, None

        found, body = await changed(self._store, keys.INSTALLATION, namespace_id, change)
        names = (found.answer()["namespace_name"], body["namespace_name"])
        self._directory.forget(namespace_id, *names)
        return {**await self.get(principal, namespace_id), "warnings": request.warnings()}

    async def page(self, principal: Principal, request: ListBody, page: Page) -> Listing:
        """The namespaces that the key may use."""

        def allowed(answer: dict[str, Any]) -> bool:
            return principal.may_use(answer["namespace_id"])

        visible = None if principal.namespaces is None else allowed
        return await self._lister.page(keys.INSTALLATION, request, page, visible=visible)

    async def delete(self, principal: Principal, id_or_name: str) -> str:
        """Hide the namespace at once and remove what it holds in the background.

        Returns:
            The id of that task.
        """
        namespace_id = await self._directory.resolve(principal, id_or_name)
        name = (await self._store.get(keys.INSTALLATION, namespace_id)).answer()["namespace_name"]
        task_id = await self._deleted.hide(namespace_id, name, str(uuid.uuid4()))
        self._directory.forget(namespace_id, name)
        self._start_purge(namespace_id)
        return task_id

    async def ids(self) -> list[str]:
        """Every namespace, newest first."""
        return await self._store.ids(keys.INSTALLATION)

    async def deletion(self, task_id: str) -> tuple[str, bool] | None:
        """(namespace id, whether it is over) of the deletion that is this task; None: it is none."""
        return await self._deleted.of_task(task_id)

    async def resume_purges(self) -> None:
        """Start again what a process that died left behind."""
        for namespace_id in await self._deleted.waiting():
            self._start_purge(namespace_id)

    async def close(self) -> None:
        """Stop purging; the next start resumes it."""
        for task in self._purges:
            task.cancel()
        await asyncio.gather(*self._purges, return_exceptions=True)

    def _start_purge(self, namespace_id: str) -> None:
        task = asyncio.create_task(self._purge(namespace_id), name=f"purge-{namespace_id}")
        self._purges.add(task)
        task.add_done_callback(self._purges.discard)

    async def _purge(self, namespace_id: str) -> None:
        """Every step may be repeated, so a failed one is tried again, then left to the next start."""
        for attempt in range(_PURGE_TRIES):
            try:
                await self._retrievers.delete_all(namespace_id)
                await self._collections.delete_all(namespace_id)
                await self._alerts.delete_all(namespace_id)
                await self._pool.run(lambda documents: documents.drop_namespace(namespace_id))
                await self._deleted.purged(namespace_id)
            except KennelError as error:
                log_event(
                    logger,
                    "namespace.purge_failed",
                    level=logging.WARNING,
                    namespace_id=namespace_id,
                    error=error.message,
                )
                await asyncio.sleep(min(2.0**attempt, _RETRY_MAX_S))
            else:
                log_event(logger, "namespace.purged", namespace_id=namespace_id)
                return


def _namespace(namespace_id: str, request: NamespaceCreate) -> Namespace:
    now = utc_now_iso()
    return Namespace(
        namespace_id=namespace_id,
        namespace_name=request.namespace_name,
        description=request.description,
        mode=request.mode,
        vector_configs=_configs(request.vector_configs),
        feature_extractors=[_extractor(each) for each in request.feature_extractors or ()],
        payload_indexes=[index.model_dump() for index in request.payload_indexes or ()],
        created_at=now,
        updated_at=now,
    )


def _configs(declared: Sequence[VectorConfig] | None) -> list[dict[str, Any]] | None:
    """As they are stored and shown; an empty list declares nothing."""
    known = {"name", "dimension", "metric"}
    return [config.model_dump(include=known) for config in declared or ()] or None


def _extractor(reference: FeatureExtractorRef) -> dict[str, Any]:
    name, version = reference.feature_extractor_name, reference.version
    return {**reference.model_dump(exclude_none=True), "feature_extractor_id": f"{name}_{version}"}
