"""The books of a namespace or of the installation, beside what is really there."""

from __future__ import annotations

from api.auth import Principal
from api.directory import NamespaceDirectory
from api.schemas.stats import Found, Stats
from shared.models.books import BooksReading
from shared.models.execution import Status
from shared.stores.books import BookStore


class StatsService:
    def __init__(self, books: BookStore, namespaces: NamespaceDirectory) -> None:
        self._books = books
        self._namespaces = namespaces

    async def read(self, principal: Principal, namespace: str | None) -> Stats:
        """Args:
            namespace: Id or name; None: the installation, for a key that is not limited to namespaces.

        Raises:
            BadRequest: a limited key named no namespace. NotFound: none that the key may use has this name.
        """
        if not namespace and principal.namespaces is None:
            return _stats(await self._books.read(), None)
        namespace_id = await self._namespaces.resolve(principal, namespace)
        return _stats(await self._books.read(namespace_id), namespace_id)


def _stats(reading: BooksReading, namespace_id: str | None) -> Stats:
    books = reading.books
    whole = namespace_id is None
    return Stats(
        namespace_id=namespace_id,
        submitted=books.submitted,
        **{status.value: books.held(status) for status in Status},
        attempts=books.attempts,
        requeued=books.requeued,
        found=Found(pending=reading.waiting, processing=reading.running) if whole else None,
        balanced=reading.is_balanced if whole else books.is_possible,
        queues={queue.name: queue.depth for queue in reading.queues},
    )
