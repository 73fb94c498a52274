"""Who has been told that a collection has texts to embed. The texts themselves wait in the document engine.

The API asks, workers take turns; each method is written once, in the colour of its caller.
"""

from __future__ import annotations

from shared import broker
from shared.documents.store import CollectionRef
from shared.redis_link import RedisLink
from shared.redis_sync import Functions

_SWEEP_MAX = 100


class EmbeddingRequests:
    """For the API."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def want(self, ref: CollectionRef) -> None:
        """Tell a worker, unless one is at it. One round trip, repeatable."""
        await self._redis.fcall("embed_want", _member(ref), broker.QUEUE_EMBED, broker.embed_template())


class EmbeddingTurns:
    """For workers. All methods raise RedisError when Redis is away."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    def want(self, ref: CollectionRef) -> None:
        """As `EmbeddingRequests.want`."""
        self._functions.call("embed_want", _member(ref), broker.QUEUE_EMBED, broker.embed_template())

    def mark(self, ref: CollectionRef, *, later_ms: int = 0) -> None:
        """It is being worked on, or there is nothing to do before `later_ms` have passed."""
        self._functions.call("embed_mark", _member(ref), later_ms)

    def done(self, ref: CollectionRef) -> None:
        """Look at the outbox once more after this: what is written before it may have told nobody."""
        self._functions.call("embed_done", _member(ref))

    def sweep(self, idle_ms: int) -> int:
        """Send again for collections that nobody has worked on for `idle_ms`; returns how many."""
        reply = self._functions.call(
            "embed_sweep", idle_ms, _SWEEP_MAX, broker.QUEUE_EMBED, broker.embed_template()
        )
        return int(reply)


def read_member(member: str) -> CollectionRef:
    namespace_id, _, collection_id = member.partition("/")
    return CollectionRef(namespace_id, collection_id)


def _member(ref: CollectionRef) -> str:
    return f"{ref.namespace_id}/{ref.collection_id}"
