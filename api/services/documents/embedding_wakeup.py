"""Waking whoever embeds. A wake-up that fails loses nothing: the outbox is swept."""

from __future__ import annotations

import logging

from shared.documents.store import CollectionRef
from shared.errors import KennelError
from shared.logs import log_event
from shared.stores.embedding_requests import EmbeddingRequests

logger = logging.getLogger("kennel.api")


class EmbeddingWakeup:
    def __init__(self, requests: EmbeddingRequests) -> None:
        self._requests = requests

    async def want(self, ref: CollectionRef, awaiting: int) -> None:
        """Call it after a write that left so many documents to embed."""
        if not awaiting:
            return
        try:
            await self._requests.want(ref)
        except KennelError as error:
            log_event(logger, "embedding.not_woken", level=logging.WARNING, error=error.message)
