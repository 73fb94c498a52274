"""Webhooks: which events an organisation wants to be told of. Pure; shared/stores/webhooks.py stores them."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

# Every event type of the contract, a closed list, and those that happen here, with their resource types.
EVENT_TYPES = (
    *("object.created", "objects.created.batch", "object.updated", "object.deleted"),
    *("document.created", "document.updated", "document.deleted"),
    *("documents.updated.batch", "documents.deleted.batch"),
    *("collection.created", "collection.updated", "collection.deleted"),
    *("collection.documents.written", "collection.documents.batch_completed"),
    *("cluster.created", "cluster.updated", "cluster.deleted"),
    *("cluster.execution.started", "cluster.execution.completed", "cluster.execution.failed"),
    *("trigger.created", "trigger.updated", "trigger.deleted", "trigger.paused", "trigger.resumed"),
    *("trigger.fired", "trigger.execution.completed", "trigger.execution.failed"),
    *("taxonomy.created", "taxonomy.updated", "taxonomy.deleted"),
    *("alert.created", "alert.updated", "alert.deleted", "alert.triggered"),
    *("alert.execution.completed", "alert.execution.failed"),
    *("annotation.created", "annotation.updated", "annotation.deleted"),
    *("resource.executed", "resource.execution_failed", "manifest.apply.resource_state"),
)
HAPPENING = {
    "resource.executed": "retriever",
    "resource.execution_failed": "retriever",
    "alert.triggered": "alert",
    "alert.execution.completed": "alert",
    "alert.execution.failed": "alert",
    "alert.created": "alert",
    "alert.updated": "alert",
    "alert.deleted": "alert",
}
TEST_EVENT = "webhook.test"  # beside the contract: sent on request only

WEBHOOKS_MAX = 100
CHANNELS_MAX = 10


class Webhook(BaseModel):
    """A webhook as it is stored. Its channels are sealed: URLs, headers and secrets are no one else's."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str
    webhook_name: str
    event_types: tuple[str, ...]
    resource_types: tuple[str, ...] | None = None
    sealed_channels: str
    is_active: bool = True
    paused_at: str | None = Field(None, description="When Kennel switched it off.")
    paused_reason: str | None = None
    created_at: str
    updated_at: str

    def wanted(self) -> list[str]:
        """The event types that it is told of now: none while it is switched off."""
        if not self.is_active:
            return []
        return [
            each
            for each in self.event_types
            if not self.resource_types or HAPPENING[each] in self.resource_types
        ]

    def paused(self, *, at: str, reason: str) -> Self:
        """Switched off by Kennel itself."""
        changes = {"is_active": False, "paused_at": at, "paused_reason": reason, "updated_at": at}
        return self.model_copy(update=changes)
