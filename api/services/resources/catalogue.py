"""The stage catalogue of the workers, read at most once a second and compiled only when it changed."""

from __future__ import annotations

from typing import Any

from api.cache import TtlCache
from api.schemas.discovery import StageDiscovery
from shared.plan import Catalogue, CatalogueEntry
from shared.stores.catalogue import CatalogueStore

_TTL_S = 1.0


class CatalogueService:
    def __init__(self, store: CatalogueStore) -> None:
        self._store = store
        self._fresh: TtlCache[str, bool] = TtlCache(max_entries=1, ttl_s=_TTL_S)
        self._entries: list[dict[str, Any]] = []
        self._catalogue = Catalogue([])

    async def current(self) -> Catalogue:
        """Raises Unavailable when no worker has published a catalogue."""
        if not self._fresh.get("catalogue"):
            entries = await self._store.entries()
            if entries != self._entries:
                self._catalogue = Catalogue([CatalogueEntry.model_validate(entry) for entry in entries])
                self._entries = entries
            self._fresh.put("catalogue", True)
        return self._catalogue

    async def describe(self) -> list[dict[str, Any]]:
        """What GET /v1/retrievers/stages answers, ordered by stage id."""
        catalogue = await self.current()
        return [
            {
                "stage_id": entry.stage_id,
                "description": entry.description,
                "category": entry.category,
                "icon": entry.icon,
                "parameter_schema": entry.parameter_schema,
            }
            for entry in catalogue.values()
        ]

    async def discover(self) -> list[StageDiscovery]:
        """What GET /v1/discovery/stages answers, ordered by stage id."""
        catalogue = await self.current()
        return [
            StageDiscovery(
                stage_id=entry.stage_id,
                description=entry.description,
                category=entry.category,
                icon=entry.icon,
                parameter_schema=entry.parameter_schema,
                cost_tier=entry.cost_tier,
                # Filters fetch documents where they come first; all others work on what they are given.
                requires_collections=entry.category == "filter",
            )
            for entry in catalogue.values()
        ]
