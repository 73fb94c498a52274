"""The events of executions, as the API reads them. The functions of the record write them (shared/lua)."""

from __future__ import annotations

from dataclasses import dataclass

from shared import keys
from shared.redis_link import RedisLink
from shared.stores.executions import StoredExecution, stored_execution
from shared.stores.reads import reading

FIRST_ID = "1-0"  # of the submit; there only if the events are kept from the beginning


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event. Ids grow; `members` are of a JSON object, from the comma on."""

    event_id: str
    type: str
    members: bytes


@dataclass(frozen=True, slots=True)
class Followed:
    """An execution as it is, and the newest of its events: None when it has ended and they are gone."""

    execution: StoredExecution
    newest_id: str | None


class EventStore:
    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def follow(self, execution_id: str, watcher: str) -> Followed | None:
        """The events are kept from now on, and `watcher` is woken by each. One round trip, repeatable.

        None when there is no such execution.
        """
        with reading():
            *values, newest = await self._redis.fcall("follow", execution_id, watcher)
        execution = stored_execution(execution_id, values)
        return Followed(execution, newest.decode() or None) if execution else None

    async def since(self, execution_id: str, event_id: str, *, count: int) -> list[StoredEvent]:
        """At most `count` events from this one on, which comes first unless it is gone. One XRANGE."""
        with reading():
            found = await self._redis.execute(
                "XRANGE", keys.events(execution_id), event_id, "+", "COUNT", count
            )
        return [
            StoredEvent(entry_id.decode(), event_type.decode(), members)
            for entry_id, (_, event_type, _, members) in found
        ]
