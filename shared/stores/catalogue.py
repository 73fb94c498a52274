"""The stage catalogue as the API reads it; workers publish it when they start."""

from __future__ import annotations

from typing import Any

import orjson

from shared import keys
from shared.errors import Unavailable
from shared.redis_link import RedisLink
from shared.stores.reads import reading


class CatalogueStore:
    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def entries(self) -> list[dict[str, Any]]:
        """Every entry, ordered by stage id. One round trip.

        Raises:
            Unavailable: no worker has ever published a catalogue.
        """
        with reading():
            flat = await self._redis.execute("HVALS", keys.CATALOGUE)
        if not flat:
            raise Unavailable(
                "no worker has published the stage catalogue yet; start one (`kennel up` does) and try again",
                code="no_catalogue",
            )
        entries: list[dict[str, Any]] = [orjson.loads(raw) for raw in flat]
        return sorted(entries, key=lambda entry: str(entry["stage_id"]))
