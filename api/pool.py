"""The document store, which blocks, for a process that must not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio

from shared.documents.store import DocumentStore

T = TypeVar("T")


class DocumentPool:
    """Runs calls of the document store in a bounded number of threads; more of them wait for their turn."""

    def __init__(self, store: DocumentStore, *, threads: int = 16) -> None:
        self._store = store
        self._limiter = anyio.CapacityLimiter(threads)

    async def run(self, call: Callable[[DocumentStore], T]) -> T:
        """`call` runs to its end even when the request is cancelled: a write is never half done."""
        return await anyio.to_thread.run_sync(call, self._store, limiter=self._limiter)
