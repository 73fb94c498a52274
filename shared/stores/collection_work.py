"""Who has been told that a collection has work: texts to embed, documents to ask alerts about.

The work itself waits in the document engine. The API asks, workers take turns; each method is written once,
in the colour of its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared import broker
from shared.documents.store import CollectionRef
from shared.redis_link import RedisLink
from shared.redis_sync import Argument, Functions

_SWEEP_MAX = 100


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work, and the task that does it for one collection."""

    kind: str
    queue: str
    template: Callable[[], str]

    def message(self) -> tuple[str, str, str]:
        """As the functions take it."""
        return self.kind, self.queue, self.template()


EMBEDDING = Work("embed", broker.QUEUE_EMBED, broker.embed_template)
ALERTS = Work("alerts", broker.QUEUE_DISPATCH, broker.dispatch_template)


class WorkRequests:
    """For the API."""

    def __init__(self, redis: RedisLink) -> None:
        self._redis = redis

    async def want(self, ref: CollectionRef, kinds: Sequence[Work]) -> None:
        """Tell a worker of each kind, unless one is at it. One round trip, repeatable."""
        messages = [part for work in kinds for part in work.message()]
        await self._redis.fcall("want_work", _member(ref), *messages)


class WorkTurns:
    """One kind of work, for workers. All methods raise RedisError when Redis is away."""

    def __init__(self, functions: Functions, work: Work) -> None:
        self._functions = functions
        self._work = work

    def want(self, ref: CollectionRef) -> None:
        """As `WorkRequests.want`."""
        self._functions.call("want_work", _member(ref), *self._work.message())

    def mark(self, ref: CollectionRef, *, later_ms: int = 0) -> None:
        """It is being worked on, or there is nothing to do before `later_ms` have passed."""
        self._call("mark_work", _member(ref), later_ms)

    def done(self, ref: CollectionRef) -> None:
        """Look at the outbox once more after this: what is written before it may have told nobody."""
        self._call("work_done", _member(ref))

    def sweep(self, idle_ms: int) -> int:
        """Send again for collections that nobody has worked on for `idle_ms`; returns how many."""
        _, queue, template = self._work.message()
        reply = self._functions.call("sweep_work", self._work.kind, idle_ms, _SWEEP_MAX, queue, template)
        return int(reply)

    def _call(self, function: str, *args: Argument) -> None:
        self._functions.call(function, self._work.kind, *args)


def read_member(member: str) -> CollectionRef:
    namespace_id, _, collection_id = member.partition("/")
    return CollectionRef(namespace_id, collection_id)


def _member(ref: CollectionRef) -> str:
    return f"{ref.namespace_id}/{ref.collection_id}"
