"""Waking whoever works on what was written. A wake-up that fails loses nothing: the outboxes are swept."""

from __future__ import annotations

import logging

from shared.documents.store import CollectionRef
from shared.errors import KennelError
from shared.logs import log_event
from shared.stores.collection_work import ALERTS, EMBEDDING, WorkRequests

logger = logging.getLogger("kennel.api")


class Wakeup:
    def __init__(self, requests: WorkRequests) -> None:
        self._requests = requests

    async def want(self, ref: CollectionRef, awaiting: int, *, for_alerts: bool = False) -> None:
        """Call it after a write that left so many documents to embed, and maybe some to ask alerts about."""
        kinds = [EMBEDDING] * bool(awaiting) + [ALERTS] * for_alerts
        if not kinds:
            return
        try:
            await self._requests.want(ref, kinds)
        except KennelError as error:
            log_event(logger, "work.not_woken", level=logging.WARNING, error=error.message)
